//! Dirty rows: what was wrong, and what became of the row.

use std::borrow::Cow;

/// What a reader does with a row that is not clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// Repairs or drops it, and says so.
    #[default]
    Lenient,
    /// Stops at the first row it would have to repair or drop.
    Strict,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The job is as the row says, which deserves a look.
    Kept,
    /// The job differs from the row as stated.
    Repaired,
    /// The row is no job.
    Dropped,
}

/// One thing about one row that is not clean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowIssue {
    /// Line in the file, from 1, header and version line included.
    pub line: u64,
    /// The column; `None` if it is about the whole row.
    pub field: Option<&'static str>,
    /// The value as it is printed in messages: at most 60 characters, nothing unprintable.
    pub value: String,
    /// What became of the row.
    pub action: Action,
    /// What is wrong, to be read after the value: "is not a count".
    pub reason: Cow<'static, str>,
    /// What to do about it; may be empty.
    pub hint: Cow<'static, str>,
}

impl RowIssue {
    /// Value and reason as one clause, such as "`-1` is not a count".
    #[must_use]
    pub fn what(&self) -> String {
        if self.value.is_empty() {
            return self.reason.clone().into_owned();
        }
        format!("`{}` {}", self.value, self.reason)
    }
}

/// Where the rows of a trace went: `rows_read = jobs + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows after the header; blank lines are none.
    pub rows_read: u64,
    /// Rows that are jobs, repaired or not.
    pub jobs: u64,
    /// Jobs that differ from their row in at least one point.
    pub repaired: u64,
    /// Rows that are no job.
    pub dropped: u64,
    /// Remarks on rows that were kept as they are.
    pub remarks: u64,
}

/// Why one row can't be a job; the reader adds the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The column; `None` if it is about the whole row.
    pub field: Option<&'static str>,
    /// The value, ready to print.
    pub value: String,
    /// What is wrong, to be read after the value.
    pub reason: Cow<'static, str>,
    /// What to do about it; may be empty.
    pub hint: Cow<'static, str>,
}

impl Problem {
    pub(crate) fn on(self, line: u64, action: Action) -> RowIssue {
        RowIssue {
            line,
            field: self.field,
            value: self.value,
            action,
            reason: self.reason,
            hint: self.hint,
        }
    }
}

/// Remarks and repairs collected while one row is read.
#[derive(Debug, Default)]
pub struct Notes {
    pub(crate) list: Vec<(Action, Problem)>,
}

impl Notes {
    /// Notes something that changes nothing.
    pub fn kept(&mut self, what: Problem) {
        self.list.push((Action::Kept, what));
    }

    /// Notes that the job will differ from the row.
    pub fn repaired(&mut self, what: Problem) {
        self.list.push((Action::Repaired, what));
    }
}

/// Most issues that are listed one by one; the counts go on.
///
/// A stream of ten million bad rows must not fill the memory with complaints.
pub const ISSUES_LISTED_MAX: usize = 100_000;

/// The issues and counts of a reader.
#[derive(Debug, Default)]
pub(crate) struct IssueLog {
    pub(crate) issues: Vec<RowIssue>,
    pub(crate) counts: RowCounts,
}

impl IssueLog {
    pub(crate) fn push(&mut self, issue: RowIssue) {
        if self.issues.len() < ISSUES_LISTED_MAX {
            self.issues.push(issue);
        }
    }
}

/// A value as messages print it.
pub(crate) fn shown(value: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * LONGEST)]);
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .take(LONGEST)
        .collect();
    if value.len() > out.len() && text.chars().count() > LONGEST {
        out.push('…');
    }
    out
}

/// "did you mean `x`?" if one of `known` is close, else the list of them.
pub(crate) fn did_you_mean<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let text = text.trim().to_ascii_lowercase();
    let mut best: Option<(&str, f64)> = None;
    for name in known.clone() {
        let score = strsim::jaro_winkler(&text, name);
        if best.is_none_or(|(_, high)| score > high) {
            best = Some((name, score));
        }
    }
    match best {
        Some((name, score)) if score > 0.8 => format!("did you mean `{name}`?"),
        _ => {
            let list: Vec<&str> = known.into_iter().collect();
            format!("known: {}", list.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_safely() {
        assert_eq!(shown(b"-1"), "-1");
        assert_eq!(shown(b"a\x07b\xff"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(shown(&[b'9'; 500]).chars().count(), 61);
    }

    #[test]
    fn hints_name_the_nearest_or_all() {
        let known = ["submit_s", "duration_s", "gpus"];
        assert_eq!(did_you_mean("gpu", known), "did you mean `gpus`?");
        assert_eq!(
            did_you_mean("Submit_Sec", known),
            "did you mean `submit_s`?"
        );
        assert_eq!(
            did_you_mean("xyz", known),
            "known: submit_s, duration_s, gpus"
        );
    }
}
