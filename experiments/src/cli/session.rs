//! A sweep on the command line: output folder, progress, Ctrl-C.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windtunnel::output::{self, Folder, JobFiles};
use windtunnel::{Comparison, ExperimentError, Hooks, RecordSink, RunKey, Scenario, Sweep};

use super::words::things;

/// How long a command may take before it shows its progress.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a command wants of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    /// Where files go, if anywhere.
    pub(super) out: Option<&'a Path>,
    /// Whether `jobs.csv` is among them.
    pub(super) jobs: bool,
    pub(super) threads: usize,
}

/// Runs a scenario and writes its files: all of them, or none.
pub(super) fn run(scenario: Scenario, wishes: Wishes<'_>) -> Result<Comparison, ExperimentError> {
    let began = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // A second handler in one process is refused; the first one does.
    let _ = ctrlc::set_handler(move || told.store(true, Ordering::Relaxed));
    // Before anything runs: a folder that can't be written to would spoil it all.
    let folder = wishes.out.map(Folder::begin).transpose()?;
    let files = folder.as_ref().filter(|_| wishes.jobs);
    let files = files.map(|folder| JobFiles::new(folder, &scenario));
    let (platforms, seeds) = (scenario.platforms.len(), scenario.run.seeds.len());
    let session = Session {
        files,
        samples: folder.is_some(),
        stop,
        progress: Progress::begin(platforms * seeds),
    };
    let comparison = Sweep::new(scenario)
        .threads(wishes.threads)
        .run_with(&session);
    session.progress.end();
    let comparison = comparison?;
    if let Some(folder) = folder {
        if let Some(files) = &session.files {
            files.join()?;
        }
        output::write(&folder, &comparison)?;
        if session.is_stopped() {
            return Err(ExperimentError::Interrupted);
        }
        folder.commit()?;
    }
    let runs = things(&(platforms * seeds).to_string(), "run");
    eprintln!("{runs} in {:.1} s", began.elapsed().as_secs_f64());
    Ok(comparison)
}

struct Session {
    files: Option<JobFiles>,
    samples: bool,
    stop: Arc<AtomicBool>,
    progress: Progress,
}

impl Hooks for Session {
    fn records(&self, run: RunKey) -> Result<Option<Box<dyn RecordSink>>, ExperimentError> {
        self.files.as_ref().map(|files| files.sink(run)).transpose()
    }

    fn wants_samples(&self) -> bool {
        self.samples
    }

    fn on_run_end(&self, _run: RunKey) {
        self.progress.bar.inc(1);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A bar on a terminal, once it is worth one.
pub(super) struct Progress {
    bar: ProgressBar,
    over: Sender<()>,
}

impl Progress {
    pub(super) fn begin(runs: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(runs as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:40} {pos} of {len} runs, {eta} to go");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        let (over, waiting) = channel();
        if std::io::stderr().is_terminal() {
            let shown = bar.clone();
            std::thread::spawn(move || show_late(&shown, &waiting));
        }
        Self { bar, over }
    }

    /// So many runs more are over.
    pub(super) fn add(&self, runs: usize) {
        self.bar.inc(runs as u64);
    }

    pub(super) fn end(&self) {
        let _ = self.over.send(());
        self.bar.finish_and_clear();
    }
}

fn show_late(bar: &ProgressBar, over: &Receiver<()>) {
    if over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(200));
    }
}
