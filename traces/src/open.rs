//! Files as they come: plain, gzip or zstd, told apart by their first bytes and never by their name.

use std::fmt;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::error::{TraceError, TraceErrorKind};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// First bytes of what people also send, and its name.
const OTHERS: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"\xfd7zX", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet"),
];

type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// A reader's bytes, decompressed if they need it; made by [`decode`] or [`open`].
pub struct Decoded<R: Read>(Inner<R>);

enum Inner<R: Read> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    Zstd(zstd::Decoder<'static, io::BufReader<Whole<R>>>),
}

impl<R: Read> fmt::Debug for Decoded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoded").field(&self.encoding()).finish()
    }
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

impl<R: Read> Decoded<R> {
    /// How the bytes below are compressed.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.0 {
            Inner::Plain(_) => Encoding::Plain,
            Inner::Gzip(_) => Encoding::Gzip,
            Inner::Zstd(_) => Encoding::Zstd,
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(reader) => reader.read(buffer),
            Inner::Gzip(reader) => reader.read(buffer),
            Inner::Zstd(reader) => reader.read(buffer),
        }
    }
}

/// Opens a file, decompressing it if its first bytes say so.
///
/// # Errors
/// It can't be opened or read, or it is an archive of another kind.
pub fn open(path: impl AsRef<Path>) -> Result<Decoded<File>, TraceError> {
    let path = path.as_ref();
    let name: Arc<str> = path.display().to_string().into();
    let file = File::open(path).map_err(|error| TraceError::io(&name, error))?;
    decode(file, &name)
}

/// Decompresses `reader` if its first bytes say so; `file` is its name in messages.
///
/// # Errors
/// It can't be read, or it is an archive of another kind.
///
/// ```
/// use std::io::Read;
/// let mut text = String::new();
/// windtunnel_traces::decode("plain text".as_bytes(), "-")?.read_to_string(&mut text)?;
/// assert_eq!(text, "plain text");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode<R: Read>(mut reader: R, file: &str) -> Result<Decoded<R>, TraceError> {
    let file: Arc<str> = file.into();
    let mut start = Vec::with_capacity(4);
    reader
        .by_ref()
        .take(4)
        .read_to_end(&mut start)
        .map_err(|error| TraceError::io(&file, error))?;
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        let message = format!("the file is {what}");
        return Err(TraceError::new(TraceErrorKind::Format, &file, message)
            .with_hint("unpack it to plain text, gzip or zstd"));
    }
    let (gzip, zstd) = (start.starts_with(GZIP), start.starts_with(ZSTD));
    let whole = Cursor::new(start).chain(reader);
    Ok(Decoded(if gzip {
        Inner::Gzip(Box::new(MultiGzDecoder::new(whole)))
    } else if zstd {
        Inner::Zstd(zstd::Decoder::new(whole).map_err(|error| TraceError::io(&file, error))?)
    } else {
        Inner::Plain(whole)
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn check(bytes: &[u8], encoding: Encoding, expected: &str) {
        let mut decoded = decode(bytes, "test").unwrap();
        assert_eq!(decoded.encoding(), encoding);
        let mut text = String::new();
        decoded.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn first_bytes_decide() {
        check(b"", Encoding::Plain, "");
        check(b"a", Encoding::Plain, "a");
        check(b"a,b\n1,2\n", Encoding::Plain, "a,b\n1,2\n");
        check(&gzip("one\n"), Encoding::Gzip, "one\n");
        let zstd = zstd::encode_all(&b"two\n"[..], 0).unwrap();
        check(&zstd, Encoding::Zstd, "two\n");
    }

    #[test]
    fn all_members_are_read() {
        let two = [gzip("one\n"), gzip("two\n")].concat();
        check(&two, Encoding::Gzip, "one\ntwo\n");
    }

    #[test]
    fn archives_are_named() {
        let error = decode(&b"PK\x03\x04rest"[..], "jobs.zip").unwrap_err();
        assert_eq!(
            error.to_string(),
            "error in jobs.zip: the file is a zip archive; hint: unpack it to plain text, gzip or zstd"
        );
    }
}
