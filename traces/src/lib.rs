//! Workload traces and generators for Windtunnel.
//!
//! A simulation is fed with jobs. They come from three places, and all of them end up as
//! [`JobSpec`](windtunnel_core::JobSpec):
//!
//! ```text
//! a table of your own ──► NativeReader ──┐
//! a public trace ───────► HeliosReader ──┼─► stream (Arrivals) or list ─► simulation
//!                         OpenbReader ───┤
//!                         PhillyReader ──┤
//! a supercomputer's log ► SwfReader ─────┤
//! nothing at hand ──────► synthetic ─────┘
//! ```
//!
//! # Reading
//!
//! The [`native`] table is CSV with a version line and columns by name; four are required. A
//! reader takes anything that implements [`Read`](std::io::Read); [`open()`] and [`decode`] unpack
//! gzip and zstd on the way.
//!
//! ```
//! use windtunnel_core::{JobList, Names};
//! use windtunnel_traces::{NativeReader, WorkloadStats};
//!
//! let text = "\
//! ## windtunnel-jobs v1
//! job_id,submit_s,duration_s,gpus,tasks,tenant
//! train-1,0,7200,8,4,vision
//! notebook,12.5,600,0.3,1,speech
//! train-2,30,-7200,8,4,vision
//! ";
//! let mut names = Names::default();
//! let trace = NativeReader::new(text.as_bytes(), "jobs.csv")?.read_all(&mut names)?;
//!
//! let stats = WorkloadStats::of(&trace.jobs);
//! assert_eq!((stats.jobs, stats.gpu_milli_max), (2, 32_000));
//! assert_eq!(names.tenant_name(trace.jobs[0].request.tenant), "vision");
//! let arrivals = JobList::new(trace.jobs); // a stream that a simulation can fork
//! assert_eq!(arrivals.len(), 2);
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```
//!
//! # Dirty rows
//!
//! The last row above is no job, and the reader says so: **every row is a job or an issue**. An
//! issue has the line, the column, the value, what was done and what to do about it. Nothing is
//! repaired silently, nothing vanishes:
//!
//! ```
//! # use windtunnel_core::Names;
//! # use windtunnel_traces::{Action, NativeReader, Strictness, TraceErrorKind};
//! # let text = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus\n\
//! #             train-1,0,7200,8\nnotebook,12.5,600,0.3\ntrain-2,30,-7200,8\n";
//! # let mut names = Names::default();
//! let trace = NativeReader::new(text.as_bytes(), "jobs.csv")?.read_all(&mut names)?;
//! let counts = trace.counts;
//! assert_eq!(counts.rows_read, counts.jobs + counts.dropped);
//! let issue = &trace.issues[0];
//! assert_eq!((issue.line, issue.field, issue.action), (5, Some("duration_s"), Action::Dropped));
//! assert_eq!(issue.what(), "`-7200` is not a time in seconds");
//!
//! // Or stop at the first row that would have to be repaired or dropped.
//! let strict = NativeReader::new(text.as_bytes(), "jobs.csv")?
//!     .with_strictness(Strictness::Strict)
//!     .read_all(&mut names);
//! assert_eq!(strict.unwrap_err().kind(), TraceErrorKind::Row);
//! # Ok::<(), windtunnel_traces::TraceError>(())
//! ```
//!
//! # Streaming
//!
//! Every reader is also an [`Arrivals`](windtunnel_core::Arrivals) stream: the simulation pulls one
//! job at a time and memory does not grow with the trace. A stream must be sorted by submission;
//! `read_all` sorts.
//!
//! # Generating
//!
//! [`synthetic::Synthetic`] draws a list of jobs that hits an offered load exactly,
//! [`synthetic::Poisson`] a stream of any length.
//!
//! ```
//! use windtunnel_core::{Names, rng::Seed};
//! use windtunnel_traces::{Kinds, NativeReader, synthetic::Synthetic, write_native};
//! let mut names = Names::default();
//! let jobs = Synthetic::campus().generate(Seed(1), &mut names)?;
//! // What is published is the file, not the seed.
//! let mut file = Vec::new();
//! write_native(&mut file, &jobs, &names, &Kinds::default())?;
//! assert_eq!(NativeReader::new(&file[..], "campus.csv")?.read_all(&mut names)?.jobs, jobs);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Another format
//!
//! A log in a format of your own is one implementation of [`Format`]: which columns there are, and
//! what job a row is. Lines, issues, counts, order and compression come with [`JobReader`].
//!
//! # What is left out
//!
//! This crate knows jobs. Clusters, prices and platforms are described elsewhere, and where public
//! traces come from is in `docs/TRACES.md`: none of them is in the repository.

mod blanks;
mod error;
mod gang;
pub mod helios;
mod issue;
pub mod native;
mod number;
mod open;
pub mod openb;
pub mod philly;
mod rows;
mod stats;
pub mod swf;
pub mod synthetic;
mod table;

pub use error::{TraceError, TraceErrorKind};
pub use helios::HeliosReader;
pub use issue::{Action, ISSUES_LISTED_MAX, Notes, Problem, RowCounts, RowIssue, Strictness};
pub use native::{Kinds, KnownBehaviours, NATIVE_VERSION, NativeReader, write_native};
pub use open::{Decoded, Encoding, decode, open};
pub use openb::OpenbReader;
pub use philly::PhillyReader;
pub use rows::{Format, JobReader, Layout, Loaded, Zero};
pub use stats::WorkloadStats;
pub use swf::{SwfOptions, SwfReader};
pub use table::{Cell, Columns, Header, Row, Unknown};
