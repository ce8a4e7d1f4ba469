//! Reasons of waiting and ends of running, in words and figures.

use windtunnel::core::{Outcome, Reason};
use windtunnel::explain::{Leave, Life, Room, Wait};

use super::words::{size, things};

/// Why a job waited, as a clause with its figures.
pub(super) fn because(wait: &Wait, life: &Life) -> String {
    let tasks = u64::from(life.record.tasks.max(1));
    let each = size(life.record.gpu_milli / tasks, life.cpu_milli / tasks);
    let all = size(life.record.gpu_milli, life.cpu_milli);
    let free = free(&wait.room);
    let fits = wait.room.slots.1 >= tasks;
    match wait.why() {
        Reason::Insufficient => format!("{free}; it needs {all}"),
        Reason::Fragmented => {
            let block = span(wait.room.block.0.into(), wait.room.block.1.into());
            let need = each;
            let lack = match (fits, tasks) {
                (true, _) => format!("at best {block} whole on one node"),
                (false, _) if wait.room.slots.1 == 0 => format!("no node had {need} free"),
                (false, 1) => format!("never {need} on one node, at best {block}"),
                (false, _) => format!(
                    "never {tasks} x {need}, at best {} x {need}",
                    wait.room.slots.1
                ),
            };
            format!("{free}; {lack}")
        }
        Reason::Stranded if life.record.gpu_milli == 0 => format!("{free}; it needs {all}"),
        Reason::Stranded => format!("{free}, but not the CPU or memory beside them"),
        Reason::Latency => format!("it could have started; nobody had decided yet ({free})"),
        Reason::HeadOfLine => {
            let fits = if fits {
                ", for some time room for it"
            } else {
                ""
            };
            format!("{}; {free}{fits}", behind(wait))
        }
        Reason::Priority => format!("others of higher priority came first; {free}"),
        Reason::Quota => format!("its tenant was at its quota or limit; {free}"),
        Reason::Backoff => format!("it sat out a backoff after an attempt that failed; {free}"),
        Reason::Gang => "part of it was placed and held GPUs; the rest waited".to_owned(),
        Reason::Reservation => format!("what was free was reserved for others; {free}"),
        Reason::Preemption => "its place was being cleared: victims had yet to leave".to_owned(),
        Reason::Provisioning => "nodes were ordered and not there yet".to_owned(),
        Reason::Gate => format!("it was held back before scheduling; {free}"),
        Reason::User => "its user held it back".to_owned(),
        Reason::Suspended => "suspended in favour of others".to_owned(),
        _ => free,
    }
}

fn behind(wait: &Wait) -> String {
    match &wait.behind[..] {
        [] => "behind others that did not fit".to_owned(),
        [one] => format!("behind {one}, which did not fit"),
        [first, rest @ ..] => {
            let others = things(&rest.len().to_string(), "other");
            format!("behind {first}, then {others}, that did not fit")
        }
    }
}

fn free(room: &Room) -> String {
    let (least, most) = room.free_milli;
    let text = room.measure.text(most);
    match (least, most) {
        (0, 0) => format!("no {} free", room.measure.one()),
        _ if least == most => format!("{text} free"),
        _ => {
            let least = room.measure.text(least);
            let number = least.split(' ').next().unwrap_or_default();
            format!("{number} to {text} free")
        }
    }
}

fn span(least: u64, most: u64) -> String {
    if least == most {
        most.to_string()
    } else {
        format!("{least} to {most}")
    }
}

/// How a job ended.
pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed by itself",
        Outcome::Cancelled => "cancelled by its user",
        Outcome::TimedOut => "killed at its limit",
        Outcome::Rejected => "rejected",
        Outcome::Killed => "given up",
        _ => "ended",
    }
}

/// Why it stopped running.
pub(super) const fn leaving(leave: Leave) -> &'static str {
    match leave {
        Leave::Ended(how) => outcome(how),
        Leave::Evicted => "evicted",
        Leave::NodeLost => "its node failed",
        Leave::GpuLost => "a GPU of it failed",
        Leave::Drained => "its node went into maintenance",
        Leave::Stopped => "a task of it stopped",
        Leave::EndOfRun => "still running at the end of the run",
    }
}
