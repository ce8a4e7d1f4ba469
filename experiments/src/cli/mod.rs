//! The command line: parse, run, print, write files. Everything of substance is in the library.
//!
//! Exit codes: 0 done, 1 a check fell short, 2 bad input or use, 130 interrupted.

mod args;
mod bars;
mod behaviours;
mod compare;
mod diff;
mod differences;
mod explain;
mod never;
mod notes;
mod page;
mod paint;
mod past;
mod reasons;
mod run;
mod session;
mod topo;
mod validate;
mod words;

use std::process::ExitCode;

use clap::Parser;
use windtunnel::{EMBEDDED, ExperimentError, Scenario};

use args::{Arguments, Command};
use page::print;

/// A check fell short.
const FELL_SHORT: u8 = 1;
/// Bad input or use.
const BAD_INPUT: u8 = 2;
/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Compare(options) => compare::command(&options),
        Command::Run(options) => run::command(&options),
        Command::Explain(options) => explain::command(&options),
        Command::Diff(options) => diff::command(&options),
        Command::Validate(options) => validate::command(&options),
        Command::Topo(options) => topo::command(&options),
        Command::Schema => schema(),
        Command::Policies => policies(),
        Command::Behaviours { file } => behaviours::command(file.as_deref()),
        Command::Scenario { name } => scenario(&name),
    };
    match done {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::FellShort) => ExitCode::from(FELL_SHORT),
        Err(ExperimentError::Interrupted) => {
            eprintln!("interrupted; nothing was written");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// How a command ended that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    FellShort,
}

fn schema() -> Result<Verdict, ExperimentError> {
    print(&format!("{:#}\n", Scenario::schema()));
    Ok(Verdict::Fine)
}

fn policies() -> Result<Verdict, ExperimentError> {
    let mut out = String::new();
    for info in windtunnel::policies::registry::known() {
        out += &format!("{}\n", info.name);
        page::paragraph(&mut out, info.summary, 4);
        for param in info.params {
            out += &format!("    {}={}\n", param.name, param.default);
            page::paragraph(&mut out, param.meaning, 8);
        }
    }
    out += "\nWrite `name` or `name{param=value,param=value}`; what is shown is the default.\n";
    print(&out);
    Ok(Verdict::Fine)
}

fn scenario(name: &str) -> Result<Verdict, ExperimentError> {
    let Some(found) = EMBEDDED.iter().find(|embedded| embedded.name == name) else {
        let known: Vec<&str> = EMBEDDED.iter().map(|embedded| embedded.name).collect();
        return Err(ExperimentError::Setting {
            what: format!("no scenario `{name}` comes with the program"),
            hint: format!("these do: {}", known.join(", ")),
        });
    };
    print(found.text);
    Ok(Verdict::Fine)
}
