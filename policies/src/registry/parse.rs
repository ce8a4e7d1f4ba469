//! Text to name and parameters, and parameters to values.

use std::ops::RangeInclusive;

use windtunnel_core::SimDuration;

use super::{ParamInfo, PolicyInfo, RegistryError};

/// A policy as written.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<(&'a str, &'a str)>,
}

/// Splits `name{param=value,…}`.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, RegistryError> {
    let mut reader = Reader { text, at: 0 };
    let name = reader.word("the name of a policy")?;
    let mut params = Vec::new();
    if reader.skip('{') && !reader.skip('}') {
        loop {
            let param = reader.word("a parameter or `}`")?;
            if !reader.skip('=') {
                return Err(reader.expected("`=`"));
            }
            params.push((param, reader.word("a value")?));
            if reader.skip('}') {
                break;
            }
            if !reader.skip(',') {
                return Err(reader.expected("`,` or `}`"));
            }
        }
    }
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.expected(if params.is_empty() {
            "`{` or the end"
        } else {
            "the end"
        }));
    }
    Ok(Parsed { name, params })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn skip(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn word(&mut self, expected: &'static str) -> Result<&'a str, RegistryError> {
        self.blanks();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '%' | '+')))
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected(expected));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn expected(&self, expected: &'static str) -> RegistryError {
        RegistryError::Syntax {
            text: self.text.to_owned(),
            at: self.text[..self.at].chars().count() + 1,
            expected,
        }
    }
}

/// The known word nearest to a mistyped one, if it is near enough to be meant.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Parameters of one policy, given or at their defaults.
#[derive(Debug)]
pub(super) struct Args<'a> {
    policy: &'static PolicyInfo,
    given: Vec<(&'static ParamInfo, &'a str)>,
}

impl<'a> Args<'a> {
    pub(super) fn new(
        policy: &'static PolicyInfo,
        params: &[(&'a str, &'a str)],
    ) -> Result<Self, RegistryError> {
        let mut given: Vec<(&'static ParamInfo, &'a str)> = Vec::new();
        for &(param, value) in params {
            let Some(info) = policy.params.iter().find(|info| info.name == param) else {
                let known: Vec<&'static str> = policy.params.iter().map(|info| info.name).collect();
                return Err(RegistryError::UnknownParam {
                    policy: policy.name,
                    param: param.to_owned(),
                    hint: nearest(param, &known),
                    known,
                });
            };
            if given.iter().any(|(other, _)| other.name == info.name) {
                return Err(RegistryError::Repeated {
                    policy: policy.name,
                    param: info.name,
                });
            }
            given.push((info, value));
        }
        Ok(Self { policy, given })
    }

    /// The text of a parameter and where it comes from.
    fn text(&self, param: &'static str) -> &str {
        let given = self.given.iter().find(|(info, _)| info.name == param);
        if let Some((_, value)) = given {
            return value;
        }
        let info = self.policy.params.iter().find(|info| info.name == param);
        info.map_or("", |info| info.default)
    }

    fn bad(&self, param: &'static str, legal: String) -> RegistryError {
        RegistryError::BadValue {
            policy: self.policy.name,
            param,
            value: self.text(param).to_owned(),
            legal,
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        param: &'static str,
        words: &[(&str, T)],
    ) -> Result<T, RegistryError> {
        let text = self.text(param);
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.bad(param, words.join(" or "))
        })
    }

    /// A length of time.
    pub(super) fn duration(&self, param: &'static str) -> Result<SimDuration, RegistryError> {
        let value = self.text(param).parse();
        value.map_err(|_| self.bad(param, "a length of time such as `30s` or `5m`".to_owned()))
    }

    /// A whole number within a range.
    pub(super) fn number(
        &self,
        param: &'static str,
        range: RangeInclusive<u8>,
    ) -> Result<u8, RegistryError> {
        let value = self.text(param).parse().ok();
        value.filter(|value| range.contains(value)).ok_or_else(|| {
            let legal = format!("a whole number from {} to {}", range.start(), range.end());
            self.bad(param, legal)
        })
    }
}
