//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A wind tunnel for GPU cluster schedulers: see where every GPU-hour and every dollar goes.
#[derive(Debug, Parser)]
#[command(name = "windtunnel", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs a scenario on all its platforms and seeds, and says what made the difference.
    Compare(Compare),
    /// Runs one platform with one seed and prints its figures.
    Run(Run),
    /// Says why a job waited: its life in one run, and when it would have started elsewhere.
    ///
    /// Runs it again from the manifest, with somebody watching the job, and checks that it is the same run.
    Explain(Explain),
    /// Finds the first decision at which two runs part, what both saw, and what followed from it.
    ///
    /// Two platforms of one comparison:       windtunnel diff DIR fifo best-fit
    /// Two runs, wherever they were written:  windtunnel diff ours:fifo theirs:fifo
    ///
    /// A policy on the same cluster:          windtunnel diff DIR fifo 'easy-backfill{order=sjf}'
    ///
    /// A run is FOLDER:PLATFORM, or FOLDER alone if it has one platform. A platform that the folder does
    /// not have may be a policy, as `windtunnel policies` lists them, on a plain platform. A folder is one that `compare` or
    /// `run --out` wrote, a scenario file, or the name of a scenario that comes with the program. Both runs
    /// must have the same jobs. What is compared is what happens to jobs: placements, evictions, ends; not
    /// reasons of waiting. A policy in code is compared by `windtunnel::diff::diff`; see `experiments/examples/diff_my_policy.rs`.
    #[command(verbatim_doc_comment)]
    Diff(Diff),
    /// Replays what real systems were recorded to decide, and says how close the simulator comes.
    ///
    /// One row per comparison: what is compared, what the real system did, what the simulator does, how
    /// far they are apart, how far two recordings of the real system are apart where there are two, and
    /// whether that passes. Exits with 1 if any row falls short. docs/VALIDATION.md tells how to read it.
    Validate(Validate),
    /// Prints how the parts of a server are connected, as `nvidia-smi topo -m` does, and how fast.
    ///
    /// After the matrix and its legend: the bandwidth between every two GPUs, of an all-reduce over the
    /// best and the worst set of each size, and to the network; then every figure's source.
    Topo(Topo),
    /// Prints the JSON Schema of scenario files.
    Schema,
    /// Lists the policies and their parameters.
    Policies,
    /// Lists the behaviours that jobs may have: how kinds of jobs use their GPUs.
    ///
    /// A scenario gives them to its jobs by weight (`mix` of `[behaviours]`), a native table by its column
    /// `behaviour`. docs/MODELS.md says what each figure does.
    Behaviours {
        /// A TOML file of your own, listed after those of the program.
        #[arg(value_name = "FILE.toml")]
        file: Option<PathBuf>,
    },
    /// Prints a scenario that comes with the program, to be copied and changed.
    Scenario {
        /// Its name: `campus`, or `claim-…` as in docs/VALIDATION.md.
        #[arg(default_value = "campus")]
        name: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct Compare {
    /// A scenario file, the manifest of an earlier run, or the name of a scenario that comes with the
    /// program, such as `campus`.
    #[arg(default_value = "campus")]
    pub(super) scenario: String,
    /// The folder the files go to. One that exists is replaced only if it holds a manifest of ours.
    #[arg(long, value_name = "DIR", default_value = "windtunnel-out")]
    pub(super) out: PathBuf,
    /// Runs at once; 0: as many as there are cores. It changes no result.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) threads: usize,
    /// Only the first so many seeds of the scenario; more if they are 1, 2, ….
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) seeds: Option<u64>,
    /// Only these platforms of the scenario.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(super) platforms: Vec<String>,
    /// Leaves jobs.csv out.
    #[arg(long)]
    pub(super) no_jobs: bool,
}

#[derive(Args, Debug)]
pub(super) struct Run {
    /// A scenario file, the manifest of an earlier run, or the name of a scenario that comes with the
    /// program, such as `campus`.
    pub(super) scenario: String,
    /// The platform; may be left out if there is only one.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: Option<String>,
    /// The seed; the first of the scenario if left out.
    #[arg(long, value_name = "SEED")]
    pub(super) seed: Option<u64>,
    /// Writes the files of the run to this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Leaves jobs.csv out.
    #[arg(long)]
    pub(super) no_jobs: bool,
}

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The folder that `compare` or `run --out` wrote, or the manifest in it.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The platform; may be left out if there is only one, and then the job too.
    pub(super) platform: Option<String>,
    /// The job: its id as in the first column of jobs.csv (`job-17`, or 17), or its name in the trace.
    /// Left out: the one that waited longest.
    pub(super) job: Option<String>,
    /// The seed; the first of the manifest if left out.
    #[arg(long, value_name = "SEED")]
    pub(super) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct Diff {
    /// DIR and two of its platforms, or two runs FOLDER:PLATFORM.
    #[arg(value_name = "RUN", num_args = 2..=3, required = true)]
    pub(super) runs: Vec<String>,
    /// The seed; the first of the scenario if left out.
    #[arg(long, value_name = "SEED")]
    pub(super) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct Validate {
    /// A folder of recordings; all below it is searched. Left out: what comes with the program.
    #[arg(long, value_name = "DIR")]
    pub(super) golden: Option<PathBuf>,
    /// Prints JSON: {"cases":[{"case":…,"compared":…,"real":…,"simulated":…,"distance":…,"pass":true}]}.
    #[arg(long)]
    pub(super) json: bool,
    /// Cases at once; 0: as many as there are cores. It changes no result.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) threads: usize,
}

#[derive(Args, Debug)]
pub(super) struct Topo {
    /// A model that comes with the program (`--list` names them), or a TOML file of your own.
    #[arg(value_name = "MODEL|FILE.toml", required_unless_present = "list")]
    pub(super) model: Option<String>,
    /// Draws the graph of its devices to this file.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(super) svg: Option<PathBuf>,
    /// Names the models that come with the program, one a line.
    #[arg(long, conflicts_with = "model")]
    pub(super) list: bool,
}
