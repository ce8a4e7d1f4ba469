//! Policies by name: what a scenario file or a command line says, resolved.
//!
//! A policy is written `name` or `name{param=value,param=value}`, with blanks where one likes:
//!
//! ```
//! use windtunnel_policies::registry::policy;
//!
//! assert_eq!(policy("fifo{never=wait}")?.name(), "fifo");
//! let error = policy("fifoo").unwrap_err().to_string();
//! assert!(error.contains("did you mean `fifo`?"), "{error}");
//! let error = policy("fifo{never=perhaps}").unwrap_err().to_string();
//! assert_eq!(error, "policy `fifo`: never=perhaps: expected `reject` or `wait`");
//! # Ok::<(), windtunnel_policies::RegistryError>(())
//! ```

mod parse;

use windtunnel_core::Policy;

use crate::backfill::{ConservativeBackfill, EasyBackfill};
use crate::fifo::{Fifo, Never};
use crate::greedy::Greedy;
use crate::kubernetes::{Config, KubeDefault, Requeue, Tie, Version};
use crate::order::Order;
use crate::place::{AnyPlacer, BestFit, FirstFit, RandomFit, WorstFit};
use crate::priority::Priority;
use crate::replay::{Replay, Unrecorded};
use crate::run_time::By;
use crate::sjf::Sjf;
use parse::Args;

/// A policy that text can name.
#[derive(Debug)]
pub struct PolicyInfo {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its parameters.
    pub params: &'static [ParamInfo],
    build: fn(&Args<'_>) -> Result<Box<dyn Policy>, RegistryError>,
}

/// A parameter of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Its name.
    pub name: &'static str,
    /// Its value if none is given.
    pub default: &'static str,
    /// What it means, and its legal values.
    pub meaning: &'static str,
}

/// Why a text names no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No policy of that name.
    #[error("unknown policy `{name}`{}; known: {}", did_you_mean(.hint), .known.join(", "))]
    UnknownPolicy {
        /// The name given.
        name: String,
        /// The nearest name, if one is near.
        hint: Option<&'static str>,
        /// Every name, in alphabetical order.
        known: Vec<&'static str>,
    },
    /// The policy has no such parameter.
    #[error("policy `{policy}` has no parameter `{param}`{}; {}", did_you_mean(.hint), parameters(.known))]
    UnknownParam {
        /// The policy.
        policy: &'static str,
        /// The parameter given.
        param: String,
        /// The nearest parameter, if one is near.
        hint: Option<&'static str>,
        /// Its parameters.
        known: Vec<&'static str>,
    },
    /// A value that the parameter can't have.
    #[error("policy `{policy}`: {param}={value}: expected {legal}")]
    BadValue {
        /// The policy.
        policy: &'static str,
        /// The parameter.
        param: &'static str,
        /// The value given.
        value: String,
        /// What it may be.
        legal: String,
    },
    /// A parameter given twice.
    #[error("policy `{policy}`: parameter `{param}` is given twice")]
    Repeated {
        /// The policy.
        policy: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// Not of the form `name{param=value,…}`.
    #[error("`{text}`, character {at}: expected {expected}")]
    Syntax {
        /// The whole text.
        text: String,
        /// Where it goes wrong, counted in characters from 1.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
}

fn did_you_mean(hint: &Option<&'static str>) -> String {
    hint.map_or_else(String::new, |hint| format!(" (did you mean `{hint}`?)"))
}

fn parameters(known: &[&'static str]) -> String {
    if known.is_empty() {
        return "it has none".to_owned();
    }
    format!("its parameters: {}", known.join(", "))
}

/// Resolves `name` or `name{param=value,param=value}`.
///
/// # Errors
/// Unknown names and parameters list the known ones and the nearest; a bad value says what is legal;
/// a syntax error points at its place.
pub fn policy(text: &str) -> Result<Box<dyn Policy>, RegistryError> {
    let parsed = parse::parse(text)?;
    let Some(info) = KNOWN.iter().find(|info| info.name == parsed.name) else {
        let known: Vec<&'static str> = KNOWN.iter().map(|info| info.name).collect();
        return Err(RegistryError::UnknownPolicy {
            name: parsed.name.to_owned(),
            hint: nearest(parsed.name, &known),
            known,
        });
    };
    let args = Args::new(info, &parsed.params)?;
    (info.build)(&args)
}

/// Words that people say, in lower case, and the policy that comes nearest.
const ALSO: [(&str, &str); 6] = [
    ("k8s", "kube-default"),
    ("kube", "kube-default"),
    ("kube-scheduler", "kube-default"),
    ("kubernetes", "kube-default"),
    ("slurm", "easy-backfill"),
    ("backfill", "easy-backfill"),
];

/// The policy that somebody may mean by a word, in whatever case.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_lowercase();
    let also = ALSO.iter().find(|(other, _)| *other == word);
    also.map_or_else(|| parse::nearest(&word, known), |(_, name)| Some(name))
}

/// Every policy that [`policy`] resolves, in alphabetical order.
#[must_use]
pub fn known() -> &'static [PolicyInfo] {
    KNOWN
}

const NEVER: ParamInfo = ParamInfo {
    name: "never",
    default: "reject",
    meaning: "a job that would not fit even on the empty supply: `reject` it, or let it `wait` for ever",
};

fn never(args: &Args<'_>) -> Result<Never, RegistryError> {
    args.choice("never", &[("reject", Never::Reject), ("wait", Never::Wait)])
}

const BY: ParamInfo = ParamInfo {
    name: "by",
    default: "estimate",
    meaning: "where run times come from: `estimate`, the user's, else the walltime limit, or `oracle`, the truth",
};

const ORDER: ParamInfo = ParamInfo {
    name: "order",
    default: "fcfs",
    meaning: "who is first: `fcfs`, by submission, `sjf`, the shortest run time, or `priority`, the highest",
};

const PLACER: ParamInfo = ParamInfo {
    name: "placer",
    default: "first-fit",
    meaning: "where tasks go: `first-fit`, `best-fit`, `worst-fit` or `random`",
};

fn by(args: &Args<'_>) -> Result<By, RegistryError> {
    args.choice("by", &[("estimate", By::Estimate), ("oracle", By::Oracle)])
}

fn order(args: &Args<'_>) -> Result<Order, RegistryError> {
    args.choice(
        "order",
        &[
            ("fcfs", Order::Fcfs),
            ("sjf", Order::Sjf),
            ("priority", Order::Priority),
        ],
    )
}

fn placer(args: &Args<'_>) -> Result<AnyPlacer, RegistryError> {
    args.choice(
        "placer",
        &[
            ("first-fit", AnyPlacer::First(FirstFit)),
            ("best-fit", AnyPlacer::Best(BestFit)),
            ("worst-fit", AnyPlacer::Worst(WorstFit)),
            ("random", AnyPlacer::Random(RandomFit::default())),
        ],
    )
}

static KNOWN: &[PolicyInfo] = &[
    PolicyInfo {
        name: "best-fit",
        summary: "starts every job that fits, each task on the node it leaves with least CPU and GPU",
        params: &[NEVER],
        build: |args| Ok(Box::new(Greedy::new(BestFit).never(never(args)?))),
    },
    PolicyInfo {
        name: "conservative-backfill",
        summary: "promises every job a start; starts later jobs early where that delays nobody",
        params: &[BY, ORDER, PLACER, NEVER],
        build: |args| {
            let policy = ConservativeBackfill::new(placer(args)?).order(order(args)?, by(args)?);
            Ok(Box::new(policy.never(never(args)?)))
        },
    },
    PolicyInfo {
        name: "easy-backfill",
        summary: "starts later jobs early where that does not delay the first one that does not fit",
        params: &[BY, ORDER, PLACER, NEVER],
        build: |args| {
            let policy = EasyBackfill::new(placer(args)?).order(order(args)?, by(args)?);
            Ok(Box::new(policy.never(never(args)?)))
        },
    },
    PolicyInfo {
        name: "fifo",
        summary: "starts jobs strictly in order of submission; one that does not fit blocks the rest",
        params: &[NEVER],
        build: |args| Ok(Box::new(Fifo::new(never(args)?))),
    },
    PolicyInfo {
        name: "first-fit",
        summary: "starts every job that fits, each task on the lowest-numbered node",
        params: &[NEVER],
        build: |args| Ok(Box::new(Greedy::new(FirstFit).never(never(args)?))),
    },
    PolicyInfo {
        name: "kube-default",
        summary: "kube-scheduler: one pod at a time, least allocated and balanced nodes first, no gangs",
        params: KUBE,
        build: |args| Ok(Box::new(KubeDefault::new(kube(args)?))),
    },
    PolicyInfo {
        name: "priority",
        summary: "higher priority first; evicts and requeues lower ones where that makes room",
        params: &[
            ParamInfo {
                name: "grace",
                default: "0s",
                meaning: "how long those that are evicted may take to leave, such as `30s`",
            },
            PLACER,
            NEVER,
        ],
        build: |args| {
            let policy = Priority::new(placer(args)?).grace(args.duration("grace")?);
            Ok(Box::new(policy.never(never(args)?)))
        },
    },
    PolicyInfo {
        name: "random",
        summary: "starts every job that fits, each task on a node drawn among those where it fits",
        params: &[NEVER],
        build: |args| {
            let policy = Greedy::new(RandomFit::default());
            Ok(Box::new(policy.never(never(args)?)))
        },
    },
    PolicyInfo {
        name: "replay",
        summary: "starts each job when and where its log says",
        params: &[
            ParamInfo {
                name: "unrecorded",
                default: "first-fit",
                meaning: "a job of which the log does not say: start it `first-fit`, or let it `wait` for ever",
            },
            NEVER,
        ],
        build: |args| {
            let words = [
                ("first-fit", Unrecorded::FirstFit),
                ("wait", Unrecorded::Wait),
            ];
            let unrecorded = args.choice("unrecorded", &words)?;
            Ok(Box::new(Replay::new(unrecorded, never(args)?)))
        },
    },
    PolicyInfo {
        name: "sjf",
        summary: "starts the job that runs shortest; if it does not fit, nobody starts",
        params: &[BY, PLACER, NEVER],
        build: |args| {
            Ok(Box::new(
                Sjf::new(placer(args)?, by(args)?).never(never(args)?),
            ))
        },
    },
    PolicyInfo {
        name: "worst-fit",
        summary: "starts every job that fits, each task on the node it leaves with most CPU and GPU",
        params: &[NEVER],
        build: |args| Ok(Box::new(Greedy::new(WorstFit).never(never(args)?))),
    },
];

const KUBE: &[ParamInfo] = &[
    ParamInfo {
        name: "version",
        default: "1.36",
        meaning: "whose queue and scores: `1.20` or `1.36`",
    },
    ParamInfo {
        name: "tie",
        default: "lowest-index",
        meaning: "which of the best nodes: `lowest-index`, or `upstream`, the heap of kube-scheduler 1.36",
    },
    ParamInfo {
        name: "requeue",
        default: "fit",
        meaning: "what brings unschedulable pods back: `fit`, pods that end and nodes where they fit, or `all`, \
                  pods that end and any node",
    },
    ParamInfo {
        name: "percentage",
        default: "100",
        meaning: "share of the nodes that is looked at: 1 to 100 percent, or 0 for the adaptive share of Kubernetes",
    },
];

fn kube(args: &Args<'_>) -> Result<Config, RegistryError> {
    Ok(Config {
        version: args.choice(
            "version",
            &[("1.20", Version::V1_20), ("1.36", Version::V1_36)],
        )?,
        tie: args.choice(
            "tie",
            &[
                ("lowest-index", Tie::LowestIndex),
                ("upstream", Tie::Upstream),
            ],
        )?,
        requeue: args.choice("requeue", &[("fit", Requeue::Fit), ("all", Requeue::All)])?,
        percentage: args.number("percentage", 0..=100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        policy(text).unwrap_err().to_string()
    }

    #[test]
    fn every_known_policy_resolves_by_name_and_with_its_defaults_spelled_out() {
        for info in known() {
            assert_eq!(policy(info.name).unwrap().name(), info.name);
            let params: Vec<String> = info
                .params
                .iter()
                .map(|param| format!("{}={}", param.name, param.default))
                .collect();
            let text = format!(" {} {{ {} }} ", info.name, params.join(" , "));
            assert_eq!(policy(&text).unwrap().name(), info.name);
        }
        assert!(known().is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn unknown_words_name_the_known_ones() {
        let text = error("fif");
        assert!(text.starts_with("unknown policy `fif` (did you mean `fifo`?); known: "));
        assert!(!error("simulated-annealing").contains("did you mean"));
        for (word, meant) in [
            ("FIFO", "fifo"),
            ("Best-Fit", "best-fit"),
            ("slurm", "easy-backfill"),
            ("SLURM", "easy-backfill"),
            ("kubernetes", "kube-default"),
            ("K8s", "kube-default"),
        ] {
            let text = error(word);
            assert!(
                text.starts_with(&format!(
                    "unknown policy `{word}` (did you mean `{meant}`?)"
                )),
                "{text}"
            );
        }
        for (_, name) in ALSO {
            assert!(known().iter().any(|info| info.name == name), "{name}");
        }
        assert_eq!(
            error("fifo{nevr=wait}"),
            "policy `fifo` has no parameter `nevr` (did you mean `never`?); its parameters: never"
        );
    }

    #[test]
    fn syntax_errors_point_at_the_place() {
        for (text, at) in [
            ("", 1),
            ("{never=wait}", 1),
            ("fifo{", 6),
            ("fifo{never}", 11),
            ("fifo{never=}", 12),
            ("fifo{never=wait", 16),
            ("fifo{never=wait}}", 17),
            ("fifo{never=wait,}", 17),
            ("fifo never", 6),
        ] {
            match policy(text) {
                Err(RegistryError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn repeated_and_bad_values() {
        assert_eq!(
            error("fifo{never=wait,never=reject}"),
            "policy `fifo`: parameter `never` is given twice"
        );
        assert_eq!(
            error("fifo{never=Wait}"),
            "policy `fifo`: never=Wait: expected `reject` or `wait`"
        );
        for value in ["101", "-1", "half"] {
            assert_eq!(
                error(&format!("kube-default{{percentage={value}}}")),
                format!(
                    "policy `kube-default`: percentage={value}: expected a whole number from 0 to 100"
                )
            );
        }
    }
}
