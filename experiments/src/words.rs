//! Numbers in words and text for 80 columns: what screens are made of.

use windtunnel_core::{SimDuration, SimTime};

/// Columns of a page.
pub const WIDTH: usize = 80;

/// A whole number with its thousands apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things, with the right form of the word: `1 job`, `2 jobs`.
#[must_use]
pub fn things(number: &str, one: &str) -> String {
    if number == "1" {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// A moment as people say it, the first day being d1: `d3 09:14:05`.
#[must_use]
pub fn clock(at: SimTime) -> String {
    at.clock()
}

/// A length of time in its two largest units, rounded down: `14 h 02 min`, `3 min 20 s`, `1.5 s`.
#[must_use]
pub fn lasting(length: SimDuration) -> String {
    let nanos = length.as_nanos();
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..60 if nanos.is_multiple_of(1_000_000_000) => format!("{seconds} s"),
        0..60 => format!("{seconds}.{:01} s", nanos / 100_000_000 % 10),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Thousandths of GPUs: `3 GPUs`, `1 GPU`, `0.5 GPUs`.
#[must_use]
pub fn gpus(milli: u64) -> String {
    if milli.is_multiple_of(1_000) {
        return things(&count(milli / 1_000), "GPU");
    }
    let part = format!("{:03}", milli % 1_000);
    format!(
        "{}.{} GPUs",
        count(milli / 1_000),
        part.trim_end_matches('0')
    )
}

/// What jobs and machines without GPUs are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Measure {
    /// GPUs.
    #[default]
    Gpus,
    /// CPU cores, where nobody asks for a GPU.
    Cores,
}

impl Measure {
    /// Thousandths of it: `3 GPUs`, `1 core`, `0.5 cores`.
    #[must_use]
    pub fn text(self, milli: u64) -> String {
        let gpus = gpus(milli);
        match self {
            Self::Gpus => gpus,
            Self::Cores => gpus.replace("GPU", "core"),
        }
    }

    /// The word for one.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Gpus => "GPU",
            Self::Cores => "core",
        }
    }
}

/// What a job asks for over all tasks: its GPUs, or its cores if it asks for none.
#[must_use]
pub fn size(gpu_milli: u64, cpu_milli: u64) -> String {
    if gpu_milli == 0 && cpu_milli > 0 {
        Measure::Cores.text(cpu_milli)
    } else {
        Measure::Gpus.text(gpu_milli)
    }
}

/// Sorted numbers with runs drawn together: `0-3 5`.
#[must_use]
pub fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let part = |&(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// Appends a text, broken at blanks, every line indented.
pub fn paragraph(out: &mut String, text: &str, indent: usize) {
    hanging(out, &" ".repeat(indent), text, indent);
}

/// The same with something before the first line instead of blanks.
pub fn hanging(out: &mut String, first: &str, text: &str, indent: usize) {
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
pub fn parts(out: &mut String, first: &str, between: &str, parts: &[String]) {
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
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(218_880), "218,880");
        assert_eq!(count(1_000), "1,000");
        let moment = SimTime::from_secs(2 * 86_400 + 9 * 3_600 + 14 * 60 + 5);
        assert_eq!(clock(moment), "d3 09:14:05");
        assert_eq!(lasting(SimDuration::from_secs(50_520)), "14 h 02 min");
        assert_eq!(lasting(SimDuration::from_secs(200)), "3 min 20 s");
        assert_eq!(lasting(SimDuration::from_millis(1_520)), "1.5 s");
        assert_eq!(gpus(1_000), "1 GPU");
        assert_eq!(gpus(2_500), "2.5 GPUs");
        assert_eq!(size(2_000, 8_000), "2 GPUs");
        assert_eq!(size(0, 1_000), "1 core");
        assert_eq!(ranges(&[0, 1, 2, 5]), "0-2 5");
    }

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
