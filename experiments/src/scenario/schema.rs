//! The JSON Schema of scenario files.

use serde_json::Value;

use super::fields::Keys;
use super::{decode, decode_workload, faults};

/// The keys of each table: what the reader needs is what the schema says.
const TABLES: [(&str, Keys); 11] = [
    ("Run", decode::RUN),
    ("BehaviourMix", decode::BEHAVIOURS),
    ("Pool", decode::POOL),
    ("Cluster", decode::CLUSTER),
    ("FabricSpec", decode::FABRIC),
    ("Rented", decode::RENTED),
    ("Faults", faults::FAULTS),
    ("Maintenance", faults::MAINTENANCE),
    ("Staff", decode::STAFF),
    ("PlatformSpec", decode::PLATFORM),
    ("Week", decode_workload::WEEK),
];

pub(super) fn schema() -> Value {
    let mut schema = schemars::schema_for!(super::Scenario).to_value();
    visit(&mut schema, |table, keys| {
        table["required"] = keys.required.into()
    });
    schema
}

/// Every table of the schema with its keys. A scenario that is written has all of them; one that is
/// read need not.
fn visit(schema: &mut Value, mut see: impl FnMut(&mut Value, &Keys)) {
    see(schema, &decode::SCENARIO);
    for (name, keys) in TABLES {
        see(&mut schema["$defs"][name], &keys);
    }
    let kinds = schema["$defs"]["Workload"]["oneOf"].as_array_mut();
    for workload in kinds.into_iter().flatten() {
        let kind = workload["properties"]["kind"]["const"]
            .as_str()
            .unwrap_or("");
        let keys = decode_workload::keys_of(kind);
        see(workload, &keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both directions: no key is missing in the schema, and none is there that the reader refuses.
    #[test]
    fn the_schema_has_the_keys_that_the_reader_takes() {
        let mut tables = 0;
        visit(&mut schema(), |table, keys| {
            let properties = table["properties"].as_object().unwrap();
            let mut found: Vec<&str> = properties.keys().map(String::as_str).collect();
            let mut expected: Vec<&str> = keys.all().collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", keys.what);
            assert_eq!(table["additionalProperties"], false, "{}", keys.what);
            tables += 1;
        });
        assert_eq!(tables, 1 + TABLES.len() + 10);
    }
}
