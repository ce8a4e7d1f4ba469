//! Errors that point at the place in a scenario file.

use std::fmt;
use std::ops::Range;

/// Longest part of a line that an error shows.
const LINE_SHOWN_MAX: usize = 120;

/// A scenario's text and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// An error at a byte range: `message` says what is wrong, `label` stands beside the carets.
    pub(crate) fn error(
        &self,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Box<SourceError> {
        let start = at.start.min(self.text.len());
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |place| place + 1);
        let line_text = self.text[line_start..].lines().next().unwrap_or("");
        let column = before[line_start..].chars().count();
        let end = at
            .end
            .clamp(start, line_start + line_text.len().max(start - line_start));
        let width = self.text[start..end].chars().count().max(1);
        Box::new(SourceError {
            message: message.into(),
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt: line_text.to_owned(),
            width,
            label: label.into(),
        })
    }
}

/// What is wrong in a scenario file, and where.
///
/// It prints as a compiler would:
///
/// ```
/// use windtunnel::{EMBEDDED, Scenario};
/// let text = EMBEDDED[0].text.replace("seeds = 10", "sedes = 10");
/// let error = Scenario::from_toml(&text, "mine.toml").unwrap_err();
/// let expected = "\
/// unknown key `sedes`
///   --> mine.toml:9:1
///   |
/// 9 | sedes = 10         # jobs and faults both follow the seed
///   | ^^^^^ did you mean `seeds`? [scenario] takes: name, seeds, horizon, sample_every";
/// assert_eq!(error.to_string(), expected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What is wrong, in a few words.
    pub message: String,
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line.
    pub excerpt: String,
    /// Characters the carets underline, from the column on.
    pub width: usize,
    /// What stands beside the carets: the hint.
    pub label: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = self
            .excerpt
            .chars()
            .map(clean)
            .take(LINE_SHOWN_MAX)
            .collect();
        let room = LINE_SHOWN_MAX.saturating_sub(self.column - 1).max(1);
        let carets = "^".repeat(self.width.min(room));
        let indent = " ".repeat((self.column - 1).min(LINE_SHOWN_MAX));
        writeln!(f, "{}", self.message)?;
        writeln!(
            f,
            "{gutter} --> {}:{}:{}",
            self.file, self.line, self.column
        )?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", shown.trim_end())?;
        write!(f, "{gutter} | {indent}{carets} {}", self.label)
    }
}

impl std::error::Error for SourceError {}

/// "did you mean `x`? " if one of `known` is close, else nothing.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let word = word.trim().to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word, name), name))
        .filter(|&(distance, name)| distance <= 1 + name.len() / 4)
        .min()
        .map_or_else(String::new, |(_, name)| format!("did you mean `{name}`? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, at: Range<usize>, expected: [&str; 5]) {
        let source = Source {
            file: "s.toml",
            text,
        };
        let error = source.error(at, "wrong", "here");
        assert_eq!(error.to_string().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn carets_stand_under_the_place() {
        let text = "a = 1\nbb = \"ü\" # c\n";
        check(
            text,
            11..15,
            [
                "wrong",
                "  --> s.toml:2:6",
                "  |",
                "2 | bb = \"ü\" # c",
                "  |      ^^^ here",
            ],
        );
        // A range over several lines is underlined on its first.
        check(
            text,
            4..13,
            [
                "wrong",
                "  --> s.toml:1:5",
                "  |",
                "1 | a = 1",
                "  |     ^ here",
            ],
        );
        // The end of the file has no line; the message still prints.
        check(
            "",
            0..0,
            ["wrong", "  --> s.toml:1:1", "  |", "1 | ", "  | ^ here"],
        );
    }

    #[test]
    fn the_gutter_is_as_wide_as_the_number() {
        let text = format!("{}polcy = 1", "\n".repeat(13));
        let at = 13..18;
        check(
            &text,
            at,
            [
                "wrong",
                "   --> s.toml:14:1",
                "   |",
                "14 | polcy = 1",
                "   | ^^^^^ here",
            ],
        );
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(
            did_you_mean("polcy", ["name", "policy"]),
            "did you mean `policy`? "
        );
        assert_eq!(did_you_mean("Seed", ["seeds"]), "did you mean `seeds`? ");
        assert_eq!(did_you_mean("zebra", ["name", "policy"]), "");
    }
}
