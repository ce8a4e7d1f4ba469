//! Text for 80 columns.

use std::io::Write;

/// Columns of a page.
pub(super) const WIDTH: usize = 80;

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Appends a text, broken at blanks, every line indented.
pub(super) fn paragraph(out: &mut String, text: &str, indent: usize) {
    hanging(out, &" ".repeat(indent), text, indent);
}

/// The same with something before the first line instead of blanks.
pub(super) fn hanging(out: &mut String, first: &str, text: &str, indent: usize) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        let length = line.chars().count() + usize::from(!is_empty) + word.chars().count();
        if !is_empty && length > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Appends parts with something between them, broken between parts if they do not fit.
pub(super) fn parts(out: &mut String, first: &str, between: &str, parts: &[String]) {
    let indent = first.chars().count();
    let mut line = first.to_owned();
    for (place, part) in parts.iter().enumerate() {
        let length = line.chars().count() + between.len() + part.chars().count();
        if place > 0 && length > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
        } else if place > 0 {
            line.push_str(between);
        }
        line.push_str(part);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_hang() {
        let mut out = String::new();
        hanging(&mut out, "name  ", &"word ".repeat(30), 6);
        assert!(
            out.lines().all(|line| line.chars().count() <= WIDTH),
            "{out}"
        );
        assert!(
            out.starts_with("name  word") && out.contains("\n      word"),
            "{out}"
        );
        let mut out = String::new();
        let wide = "x".repeat(50);
        parts(&mut out, "a  ", " | ", &[wide.clone(), wide.clone()]);
        assert_eq!(out, format!("a  {wide}\n   {wide}\n"));
    }
}
