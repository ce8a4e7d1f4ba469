//! Lines whose cells are separated by blanks, made into lines with one blank between cells.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use crate::error::{TraceError, TraceErrorKind};

/// Marks a comment.
const COMMENT: u8 = b';';

/// Longest header: the longest of the archive has some 20 KiB.
const HEADER_MAX: usize = 1 << 20;

/// The text below the `csv` crate, as it is or with its blanks squeezed.
#[derive(Debug)]
pub(crate) struct Text<R> {
    inner: BufReader<R>,
    squeeze: Option<Squeeze>,
}

impl<R: Read> Text<R> {
    /// As it is.
    pub(crate) fn csv(inner: BufReader<R>) -> Self {
        let squeeze = None;
        Self { inner, squeeze }
    }

    /// Every run of blanks becomes one, those at the ends of a line and comments vanish. Line
    /// breaks stay, so that lines can still be counted.
    pub(crate) fn blanks(inner: BufReader<R>) -> Self {
        let squeeze = Some(Squeeze::default());
        Self { inner, squeeze }
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(squeeze) = &mut self.squeeze else {
            return self.inner.read(out);
        };
        loop {
            let input = self.inner.fill_buf()?;
            if input.is_empty() || out.is_empty() {
                return Ok(0);
            }
            let (taken, made) = squeeze.run(input, out);
            self.inner.consume(taken);
            if made > 0 {
                return Ok(made);
            }
        }
    }
}

/// Where in a line the text is.
#[derive(Debug, Default)]
struct Squeeze {
    /// The line has a cell.
    begun: bool,
    /// A blank is due before the next cell.
    due: bool,
    /// The line is a comment.
    comment: bool,
}

impl Squeeze {
    /// Copies from `input` to `out` until one of them is at its end: bytes taken and made. One step
    /// per byte.
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> (usize, usize) {
        let mut made = 0;
        for (taken, &byte) in input.iter().enumerate() {
            if made == out.len() {
                return (taken, made);
            }
            match byte {
                b'\n' => {
                    *self = Self::default();
                    out[made] = byte;
                    made += 1;
                }
                _ if self.comment => {}
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.due = self.begun,
                COMMENT if !self.begun => self.comment = true,
                _ => {
                    if self.due {
                        self.due = false;
                        out[made] = b' ';
                        made += 1;
                        if made == out.len() {
                            return (taken, made);
                        }
                    }
                    self.begun = true;
                    out[made] = byte;
                    made += 1;
                }
            }
        }
        (input.len(), made)
    }
}

/// Takes the comments and blank lines before the first row off `reader`; says how many lines that
/// were.
pub(crate) fn take_comments<R: Read>(
    reader: &mut BufReader<R>,
    comments: &mut String,
    file: &Arc<str>,
) -> Result<u64, TraceError> {
    let mut lines = 0;
    let mut line = Vec::new();
    loop {
        let failed = |error: io::Error| TraceError::read(file, error.into(), lines);
        let input = reader.fill_buf().map_err(failed)?;
        match input.first() {
            // Blanks before a row mean nothing, so they need not be put back. Nor does the mark
            // that some editors put before a file.
            Some(b' ' | b'\t' | b'\r' | 0xef | 0xbb | 0xbf) => reader.consume(1),
            Some(b'\n') => {
                reader.consume(1);
                lines += 1;
            }
            Some(&COMMENT) => {
                line.clear();
                let room = HEADER_MAX.saturating_sub(comments.len()) as u64;
                reader
                    .by_ref()
                    .take(room)
                    .read_until(b'\n', &mut line)
                    .map_err(failed)?;
                lines += 1;
                if line.len() as u64 >= room {
                    let message = "the comments before the first row are longer than 1 MiB";
                    return Err(TraceError::new(TraceErrorKind::Format, file, message).at(lines));
                }
                let text = String::from_utf8_lossy(&line);
                comments.push_str(text.trim().trim_start_matches(char::from(COMMENT)).trim());
                comments.push('\n');
            }
            _ => return Ok(lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str, read: usize, write: usize) -> String {
        let mut text = Text::blanks(BufReader::with_capacity(read, text.as_bytes()));
        let (mut all, mut buffer) = (Vec::new(), vec![0; write]);
        loop {
            let made = text.read(&mut buffer).unwrap();
            if made == 0 {
                return String::from_utf8(all).unwrap();
            }
            all.extend_from_slice(&buffer[..made]);
        }
    }

    #[test]
    fn blanks_are_squeezed_in_pieces_of_any_size() {
        let text = "  1\t 2   3 \r\n; a comment; of two\n\n ; another\n4 ;5 {6,7}\n  \n8";
        let expected = "1 2 3\n\n\n\n4 ;5 {6,7}\n\n8";
        for read in 1..20 {
            for write in 1..20 {
                assert_eq!(squeezed(text, read, write), expected, "{read} and {write}");
            }
        }
    }

    #[test]
    fn comments_before_the_first_row_are_kept() {
        let text = "; Version: 2.2\n;\n\n  ;; MaxProcs: 100 \n  1 2\n; not these\n";
        let mut reader = BufReader::new(text.as_bytes());
        let mut comments = String::new();
        let lines = take_comments(&mut reader, &mut comments, &"log".into()).unwrap();
        assert_eq!((lines, &*comments), (4, "Version: 2.2\n\nMaxProcs: 100\n"));
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "1 2\n; not these\n");
    }

    #[test]
    fn a_header_without_end_is_refused() {
        let text = format!("; {}", "x".repeat(HEADER_MAX));
        let mut reader = BufReader::new(text.as_bytes());
        assert!(take_comments(&mut reader, &mut String::new(), &"log".into()).is_err());
    }
}
