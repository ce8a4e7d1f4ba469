//! The comments before the first job of a log, and the machine they tell of.

use windtunnel_core::{NodeModel, Supply};

use super::Processors;

/// What the comments before the first job say, line by line: `Key: value`.
///
/// ```
/// use windtunnel_traces::SwfReader;
/// let log = "; Computer: IBM SP2\n; MaxNodes: 100\n; MaxProcs: 100\n;\n\
///            1 0 0 60 1 -1 -1 1 60 -1 1 1 1 -1 -1 -1 -1 -1\n";
/// let reader = SwfReader::new(log.as_bytes(), "log.swf")?;
/// assert_eq!(reader.header().value("Computer"), Some("IBM SP2"));
/// assert_eq!(reader.header().processors(), Some(100));
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwfHeader {
    lines: Vec<(String, String)>,
}

impl SwfHeader {
    pub(super) fn of(comments: &str) -> Self {
        let lines = comments.lines().filter_map(|line| line.split_once(':'));
        let owned = |(key, value): (&str, &str)| (key.trim().to_owned(), value.trim().to_owned());
        Self {
            lines: lines.map(owned).collect(),
        }
    }

    /// All lines of the form `Key: value`, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The first value of a key, such as `Computer`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut lines = self.lines();
        lines
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// The number that a value begins with: some add words.
    fn number(&self, key: &str) -> Option<u32> {
        let value = self.value(key)?;
        let end = value.find(|c: char| !c.is_ascii_digit());
        value[..end.unwrap_or(value.len())].parse().ok()
    }

    /// `MaxProcs`, or `MaxNodes` of a log that has only that; `None` if it has neither.
    #[must_use]
    pub fn processors(&self) -> Option<u32> {
        let count = self.number("MaxProcs").or_else(|| self.number("MaxNodes"));
        count.filter(|&count| count > 0)
    }
}

/// The machine of a log as a supply, on which allocation is exact: one node with all its processors
/// as cores, or as many nodes of one GPU.
///
/// `None` without a processor, beyond 4,294,967 cores, or beyond 10,000,000 GPUs.
///
/// ```
/// use windtunnel_core::MilliCores;
/// use windtunnel_traces::swf::{Processors, machine};
/// let curie = machine(93_312, Processors::Cores).unwrap();
/// assert_eq!(curie.pools[0].model.cpu, MilliCores::cores(93_312));
/// assert_eq!(machine(100, Processors::Gpus).unwrap().gpu_count(), 100);
/// assert!(machine(0, Processors::Cores).is_none());
/// ```
#[must_use]
pub fn machine(processors: u32, kind: Processors) -> Option<Supply> {
    match kind {
        Processors::Cores => {
            let fits = (1..=u32::MAX / 1_000).contains(&processors);
            let node = || NodeModel::gpus_only("none", 0).with_cores(processors);
            fits.then(|| Supply::uniform(node(), 1))
        }
        Processors::Gpus => {
            let fits = (1..=10_000_000).contains(&processors);
            fits.then(|| Supply::uniform(NodeModel::gpus_only("gpu", 1), processors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_missing_or_wordy() {
        let header = SwfHeader::of("Version: 2.2\nno key\nMaxProcs: 1152 (of them 8 for logins)\n");
        assert_eq!(header.processors(), Some(1_152));
        assert_eq!(header.value("Note"), None);
        assert_eq!(SwfHeader::of("MaxNodes: 430").processors(), Some(430));
        for text in [
            "",
            "MaxProcs: many",
            "MaxProcs: -1",
            "MaxProcs: 0",
            "MaxProcs: 99999999999",
        ] {
            assert_eq!(SwfHeader::of(text).processors(), None, "{text}");
        }
    }
}
