//! One table of a scenario file: which keys it takes, and its values with their places.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use windtunnel_core::{MicroDollars, Ppm, SimDuration};

use super::source::{Source, SourceError, did_you_mean};
use super::text::Words;

/// The keys of a kind of table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// How messages call the table.
    pub(crate) what: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

impl Keys {
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.required.iter().chain(self.optional).copied()
    }

    fn list(&self) -> String {
        self.all().collect::<Vec<_>>().join(", ")
    }
}

/// What to write instead of a pool's price per GPU.
const PER_NODE: &str =
    "a pool's price is per node: multiply by gpus_per_node and write `usd_per_node_hour`; ";

type Found<T> = Result<T, Box<SourceError>>;

/// A table whose keys have been checked.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) source: Source<'a>,
    table: &'a DeTable<'a>,
    /// Where the table begins.
    pub(crate) at: Range<usize>,
}

impl<'a> Fields<'a> {
    /// Checks the keys of a table.
    pub(crate) fn new(
        source: Source<'a>,
        keys: &Keys,
        table: &'a DeTable<'a>,
        at: Range<usize>,
    ) -> Found<Self> {
        let is_unknown = |key: &&Spanned<_>| {
            let key: &Spanned<std::borrow::Cow<'_, str>> = key;
            !keys.all().any(|known| known == key.get_ref())
        };
        let unknown = table.keys().filter(is_unknown);
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let word = key.get_ref();
            let hint = match (keys.what, &**word) {
                ("[[pools]]", "usd_per_gpu_hour") => PER_NODE.to_owned(),
                _ => did_you_mean(word, keys.all()),
            };
            return Err(source.error(
                key.span(),
                format!("unknown key `{word}`"),
                format!("{hint}{} takes: {}", keys.what, keys.list()),
            ));
        }
        let this = Self { source, table, at };
        for key in keys.required {
            if this.value(key).is_none() {
                return Err(this.source.error(
                    this.at.clone(),
                    format!("`{key}` is missing"),
                    format!("{} needs {}", keys.what, keys.required.join(", ")),
                ));
            }
        }
        Ok(this)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// An error that points at the value of a key, or at the table if the key is not given.
    pub(crate) fn wrong(&self, key: &str, label: impl Into<String>) -> Box<SourceError> {
        let at = self.value(key).map_or(self.at.clone(), Spanned::span);
        wrong(self.source, at, key, label)
    }

    pub(crate) fn text(&self, key: &str) -> Found<Option<&'a str>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(text)),
            other => Err(self.wrong(key, format!("expected a text, found {}", kind(other)))),
        }
    }

    /// A text that is a name: neither empty nor of several lines.
    pub(crate) fn name(&self, key: &str) -> Found<String> {
        let name = self.text(key)?.unwrap_or_default();
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(self.wrong(
                key,
                "a name has at least one character, all of them printable",
            ));
        }
        Ok(name.to_owned())
    }

    pub(crate) fn flag(&self, key: &str) -> Found<Option<bool>> {
        match self.value(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Boolean(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(
                key,
                format!("expected true or false, found {}", kind(other)),
            )),
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: Words<T>) -> Found<Option<T>> {
        let Some(word) = self.text(key)? else {
            return Ok(None);
        };
        if let Some((_, value)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        let hint = did_you_mean(word, known.iter().copied());
        Err(self.wrong(key, format!("{hint}it is one of: {}", known.join(", "))))
    }

    pub(crate) fn duration(&self, key: &str) -> Found<Option<SimDuration>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => text
                .parse()
                .map(Some)
                .map_err(|error| self.wrong(key, format!("{error}"))),
            other => {
                let found = kind(other);
                Err(self.wrong(
                    key,
                    format!("expected a duration such as \"2h 30m\", found {found}"),
                ))
            }
        }
    }

    /// A duration or a word that says that there is none.
    pub(crate) fn duration_or(&self, key: &str, none: &str) -> Found<Option<Option<SimDuration>>> {
        match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) if text == none => Ok(Some(None)),
            _ => match self.duration(key) {
                Ok(found) => Ok(found.map(Some)),
                Err(mut error) => {
                    error.label = format!("{}; or \"{none}\"", error.label);
                    Err(error)
                }
            },
        }
    }

    /// A whole number within a range.
    pub(crate) fn whole<T>(&self, key: &str, range: RangeInclusive<T>) -> Found<Option<T>>
    where
        T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
    {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        whole(value.get_ref(), &range)
            .map(Some)
            .map_err(|label| self.wrong(key, label))
    }

    /// A whole number within a range, or the word `none`.
    pub(crate) fn whole_or_none<T>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Found<Option<Option<T>>>
    where
        T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
    {
        if self.is_none(key) {
            return Ok(Some(None));
        }
        Ok(self.whole(key, range)?.map(Some))
    }

    /// A number within a range.
    pub(crate) fn number(&self, key: &str, range: RangeInclusive<f64>) -> Found<Option<f64>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str().parse::<f64>(),
            DeValue::Float(digits) => digits.as_str().parse::<f64>(),
            other => {
                return Err(self.wrong(key, format!("expected a number, found {}", kind(other))));
            }
        };
        match number {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (low, high) = range.into_inner();
                Err(self.wrong(key, format!("it is from {low} to {high}")))
            }
        }
    }

    /// A number within a range, to the nearest millionth.
    pub(crate) fn ppm(&self, key: &str, range: RangeInclusive<f64>) -> Found<Option<Ppm>> {
        let number = self.number(key, range)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturated; ranges are small and not negative"
        )]
        Ok(number.map(|number| Ppm((number * 1e6).round() as u32)))
    }

    /// A number within a range, or the word `none`.
    pub(crate) fn number_or_none(
        &self,
        key: &str,
        range: RangeInclusive<f64>,
    ) -> Found<Option<Option<f64>>> {
        if self.is_none(key) {
            return Ok(Some(None));
        }
        Ok(self.number(key, range)?.map(Some))
    }

    fn is_none(&self, key: &str) -> bool {
        matches!(self.value(key).map(Spanned::get_ref), Some(DeValue::String(text)) if text == "none")
    }

    /// An amount in dollars.
    pub(crate) fn dollars(&self, key: &str) -> Found<Option<MicroDollars>> {
        let number = self.number(key, 0.0..=1e9)?;
        Ok(number.and_then(MicroDollars::from_dollars))
    }

    /// The elements of a list.
    pub(crate) fn list(&self, key: &str) -> Found<Option<Vec<&'a Spanned<DeValue<'a>>>>> {
        match self.value(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Array(list)) => Ok(Some(list.iter().collect())),
            Some(other) => Err(self.wrong(key, format!("expected a list, found {}", kind(other)))),
        }
    }

    /// A list of whole numbers of a fixed length.
    pub(crate) fn weights<const N: usize>(&self, key: &str) -> Found<[u16; N]> {
        let list = self.list(key)?.unwrap_or_default();
        let mut weights = [0; N];
        if list.len() != N {
            let found = list.len();
            return Err(self.wrong(key, format!("it has {N} weights, not {found}")));
        }
        for (weight, value) in weights.iter_mut().zip(list) {
            *weight = whole(value.get_ref(), &(0..=u16::MAX))
                .map_err(|label| wrong(self.source, value.span(), key, label))?;
        }
        Ok(weights)
    }

    /// A table below this one.
    pub(crate) fn table(&self, key: &str, keys: &Keys) -> Found<Option<Self>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        self.below(key, keys, value).map(Some)
    }

    /// The tables of a list.
    pub(crate) fn tables(&self, key: &str, keys: &Keys) -> Found<Vec<Self>> {
        let list = self.list(key)?.unwrap_or_default();
        list.into_iter()
            .map(|value| self.below(key, keys, value))
            .collect()
    }

    fn below(&self, key: &str, keys: &Keys, value: &'a Spanned<DeValue<'a>>) -> Found<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Self::new(self.source, keys, table, value.span()),
            other => {
                let label = format!("expected a table, {}, found {}", keys.what, kind(other));
                Err(wrong(self.source, value.span(), key, label))
            }
        }
    }
}

/// An error about the value of a key.
pub(crate) fn wrong(
    source: Source<'_>,
    at: Range<usize>,
    key: &str,
    label: impl Into<String>,
) -> Box<SourceError> {
    source.error(at, format!("bad value for `{key}`"), label)
}

/// A whole number within a range, or what is wrong with it.
pub(crate) fn whole<T>(value: &DeValue<'_>, range: &RangeInclusive<T>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
{
    let DeValue::Integer(digits) = value else {
        return Err(format!("expected a whole number, found {}", kind(value)));
    };
    i64::from_str_radix(digits.as_str(), digits.radix())
        .ok()
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("it is from {} to {}", range.start(), range.end()))
}

/// What a value is, for messages.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
