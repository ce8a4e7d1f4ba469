//! The JSON Schema of scenario files.

use serde_json::Value;

use super::fields::Keys;
use super::{decode, decode_workload};

/// Which keys each table needs: what the reader needs is what the schema says.
const TABLES: [(&str, Keys); 10] = [
    ("Run", decode::RUN),
    ("Pool", decode::POOL),
    ("Rented", decode::RENTED),
    ("Faults", decode::FAULTS),
    ("Staff", decode::STAFF),
    ("PlatformSpec", decode::PLATFORM),
    ("Drawn", decode_workload::DRAWN),
    ("Stream", decode_workload::STREAM),
    ("Table", decode_workload::TABLE),
    ("Week", decode_workload::WEEK),
];

pub(super) fn schema() -> Value {
    let mut schema = schemars::schema_for!(super::Scenario).to_value();
    require(&mut schema, &decode::SCENARIO);
    for (name, keys) in TABLES {
        if let Some(table) = schema.pointer_mut(&format!("/$defs/{name}")) {
            require(table, &keys);
        }
    }
    schema
}

/// Replaces `required`: what is written always need not be given always.
fn require(table: &mut Value, keys: &Keys) {
    let has = |key: &&str| *key != "kind";
    let required: Vec<&str> = keys.required.iter().copied().filter(has).collect();
    table["required"] = required.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both directions: no key is missing in the schema, and none is there that the reader refuses.
    #[test]
    fn the_schema_has_the_keys_that_the_reader_takes() {
        let schema = schema();
        let check = |table: &Value, keys: &Keys| {
            let properties = table["properties"].as_object().unwrap();
            let mut found: Vec<&str> = properties.keys().map(String::as_str).collect();
            let mut expected: Vec<&str> = keys.all().filter(|key| *key != "kind").collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", keys.what);
        };
        check(&schema, &decode::SCENARIO);
        for (name, keys) in TABLES {
            check(&schema["$defs"][name], &keys);
        }
    }
}
