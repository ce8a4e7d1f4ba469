//! The name of a job in its trace: text that fits a few words is held inline.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Longest name held inline \[bytes\].
const INLINE: usize = 22;

/// A job's name, for output only.
///
/// Millions of jobs pass through a run, nearly all with short names; cloning one should not touch
/// another cache line. Longer names are shared.
///
/// ```
/// use windtunnel_core::JobName;
/// let name = JobName::from("363167#0");
/// assert_eq!(&*name, "363167#0");
/// assert_eq!(JobName::from("a name longer than twenty-two bytes").len(), 35);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JobName(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// Bytes beyond the length are zero.
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Arc<str>),
}

impl From<&str> for JobName {
    fn from(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Form::Inline { len, bytes })
            }
            _ => Self(Form::Shared(text.into())),
        }
    }
}

impl Deref for JobName {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Form::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).expect("made from text")
            }
            Form::Shared(text) => text,
        }
    }
}

impl fmt::Debug for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_read_back() {
        for length in [0, 1, INLINE - 1, INLINE, INLINE + 1, 300] {
            let text = "ü".repeat(length / 2) + &"x".repeat(length % 2);
            assert_eq!(&*JobName::from(text.as_str()), text, "{length}");
        }
        assert!(size_of::<Option<JobName>>() <= 24);
    }
}
