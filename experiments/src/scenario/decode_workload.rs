//! The `[workload]` table: its kind says which keys it takes.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;
use windtunnel_core::SimDuration;
use windtunnel_traces::SwfOptions;
use windtunnel_traces::synthetic::Preset;

use super::decode::{Read, WHOLE_MAX};
use super::fields::{Fields, Keys, kind, whole, wrong};
use super::instances;
use super::source::did_you_mean;
use super::{
    Drawn, FillPods, Log, Pool, Published, Rate, Saves, Stream, Table, Week, Workload, text,
};

/// `kind` comes first: it says which other keys there are.
const DRAWN: Keys = Keys {
    what: "a drawn [workload]",
    required: &["kind"],
    optional: &[
        "gpus",
        "gpus_per_node",
        "window",
        "jobs",
        "load",
        "pattern",
        "gpu_mix",
        "gpu_parts",
        "gpu_instances",
        "run_median",
        "run_sigma",
        "run_min",
        "run_max",
        "duty_mean",
        "duty_spread",
        "startup",
        "checkpoint_interval",
        "checkpoint_cost",
        "estimate_median",
        "estimate_sigma",
        "limit_factor",
        "cores_per_gpu",
        "memory_gib_per_gpu",
        "cpu_heavy",
        "cpu_heavy_factor",
        "tenants",
        "failed",
        "cancelled",
        "level",
    ],
};
const PRESET: Keys = Keys {
    what: "a [workload] from a preset",
    required: &["kind", "preset", "load"],
    optional: &["gpus", "window"],
};
const STREAM: Keys = Keys {
    what: "a poisson [workload]",
    required: &["kind", "jobs", "load"],
    optional: &["gpus", "run_mean"],
};
const TABLE: Keys = Keys {
    what: "a [workload] from a file",
    required: &["kind", "path"],
    optional: &["strict", "stream", "first"],
};
const FILL: Keys = Keys {
    what: "an openb-fill [workload]",
    required: &["kind", "path"],
    optional: &["strict", "percent", "interval"],
};
const LOG: Keys = Keys {
    what: "a [workload] from a log in SWF",
    required: &["kind", "path"],
    optional: &[
        "strict",
        "stream",
        "first",
        "processors",
        "size",
        "limit",
        "tenant",
        "keep_unstarted",
        "zero",
    ],
};
pub(super) const WEEK: Keys = Keys {
    what: "pattern",
    required: &["hours", "days"],
    optional: &[],
};

const KINDS: text::Words<Kind> = &[
    ("campus", Kind::Campus),
    ("synthetic", Kind::Synthetic),
    ("preset", Kind::Preset),
    ("poisson", Kind::Poisson),
    ("native", Kind::Native),
    ("helios", Kind::Helios),
    ("openb", Kind::Openb),
    ("openb-fill", Kind::OpenbFill),
    ("philly", Kind::Philly),
    ("swf", Kind::Swf),
];

/// The keys that a kind of workload takes.
pub(super) fn keys_of(kind: &str) -> Keys {
    match KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, Kind::Native | Kind::Helios | Kind::Openb | Kind::Philly)) => TABLE,
        Some((_, Kind::OpenbFill)) => FILL,
        Some((_, Kind::Swf)) => LOG,
        Some((_, Kind::Preset)) => PRESET,
        Some((_, Kind::Poisson)) => STREAM,
        _ => DRAWN,
    }
}

const PARTS_EXAMPLE: &str = "[thousandths of a GPU, weight], such as [250, 10]";
const TENANT_EXAMPLE: &str = "[tenant, weight], such as [\"vision\", 25]";

#[derive(Clone, Copy)]
enum Kind {
    Campus,
    Synthetic,
    Preset,
    Poisson,
    Native,
    Helios,
    Openb,
    OpenbFill,
    Philly,
    Swf,
}

/// The kind is looked up first, for it says which other keys there are.
pub(super) fn workload(top: &Fields<'_>, pools: &[Pool]) -> Read<Workload> {
    let value = top.value("workload");
    let Some(DeValue::Table(table)) = value.map(Spanned::get_ref) else {
        let found = value.map_or("nothing", |value| kind(value.get_ref()));
        return Err(top.wrong(
            "workload",
            format!("expected a table, [workload], found {found}"),
        ));
    };
    let names = || KINDS.iter().map(|(name, _)| *name);
    let Some(kind_value) = table.get("kind") else {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(top.source.error(
            value.map_or(0..0, Spanned::span),
            "`kind` is missing",
            format!("[workload] needs a kind: {known}"),
        ));
    };
    let bad = |label: String| wrong(top.source, kind_value.span(), "kind", label);
    let DeValue::String(word) = kind_value.get_ref() else {
        return Err(bad(format!(
            "expected a text, found {}",
            kind(kind_value.get_ref())
        )));
    };
    let Some(found) = KINDS
        .iter()
        .find(|(name, _)| name == word)
        .map(|(_, kind)| *kind)
    else {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(bad(format!(
            "{}it is one of: {known}",
            did_you_mean(word, names())
        )));
    };
    let below = |keys: &Keys| -> Read<Fields<'_>> {
        Ok(top
            .table("workload", keys)?
            .expect("it is a table, as seen above"))
    };
    Ok(match found {
        Kind::Campus => Workload::Campus(drawn(&below(&DRAWN)?, Drawn::campus(), pools)?),
        Kind::Synthetic => Workload::Synthetic(drawn(&below(&DRAWN)?, Drawn::plain(), pools)?),
        Kind::Preset => Workload::Preset(published(&below(&PRESET)?)?),
        Kind::Poisson => Workload::Poisson(stream(&below(&STREAM)?)?),
        Kind::Native => Workload::Native(file(&below(&TABLE)?)?),
        Kind::Helios => Workload::Helios(file(&below(&TABLE)?)?),
        Kind::Openb => Workload::Openb(file(&below(&TABLE)?)?),
        Kind::OpenbFill => Workload::OpenbFill(fill(&below(&FILL)?)?),
        Kind::Philly => Workload::Philly(sorted_file(&below(&TABLE)?)?),
        Kind::Swf => Workload::Swf(log(&below(&LOG)?)?),
    })
}

fn drawn(fields: &Fields<'_>, default: Drawn, pools: &[Pool]) -> Read<Drawn> {
    let share =
        |key, default| -> Read<f64> { Ok(fields.number(key, 0.0..=1.0)?.unwrap_or(default)) };
    let sigma =
        |key, default| -> Read<f64> { Ok(fields.number(key, 0.0..=5.0)?.unwrap_or(default)) };
    let length =
        |key, default| -> Read<SimDuration> { Ok(fields.duration(key)?.unwrap_or(default)) };
    let drawn = Drawn {
        gpus: fields.whole("gpus", 0..=WHOLE_MAX)?.unwrap_or(default.gpus),
        gpus_per_node: fields
            .whole("gpus_per_node", 0..=16)?
            .unwrap_or(default.gpus_per_node),
        window: length("window", default.window)?,
        jobs: fields
            .whole_or_none("jobs", 1..=WHOLE_MAX)?
            .unwrap_or(default.jobs),
        load: fields
            .number_or_none("load", 1e-6..=1_000.0)?
            .unwrap_or(default.load),
        pattern: rate(fields, default.pattern)?,
        gpu_mix: sizes(
            fields,
            "gpu_mix",
            1..=1_000_000,
            "[GPUs, weight], such as [8, 15]",
        )?
        .unwrap_or(default.gpu_mix),
        gpu_parts: sizes(fields, "gpu_parts", 1..=999, PARTS_EXAMPLE)?.unwrap_or(default.gpu_parts),
        gpu_instances: instances::read(fields, pools)?.unwrap_or(default.gpu_instances),
        run_median: length("run_median", default.run_median)?,
        run_sigma: sigma("run_sigma", default.run_sigma)?,
        run_min: length("run_min", default.run_min)?,
        run_max: length("run_max", default.run_max)?,
        duty_mean: share("duty_mean", default.duty_mean)?,
        duty_spread: share("duty_spread", default.duty_spread)?,
        startup: length("startup", default.startup)?,
        checkpoint_interval: Saves::read(
            fields,
            length("checkpoint_cost", default.checkpoint_cost)?,
            default.checkpoint_interval,
        )?,
        checkpoint_cost: length("checkpoint_cost", default.checkpoint_cost)?,
        estimate_median: fields
            .number("estimate_median", 1e-3..=1_000.0)?
            .unwrap_or(default.estimate_median),
        estimate_sigma: sigma("estimate_sigma", default.estimate_sigma)?,
        limit_factor: fields
            .number_or_none("limit_factor", 1.0..=1_000.0)?
            .unwrap_or(default.limit_factor),
        cores_per_gpu: fields
            .whole("cores_per_gpu", 0..=4_000)?
            .unwrap_or(default.cores_per_gpu),
        memory_gib_per_gpu: fields
            .whole("memory_gib_per_gpu", 0..=1_024)?
            .unwrap_or(default.memory_gib_per_gpu),
        cpu_heavy: share("cpu_heavy", default.cpu_heavy)?,
        cpu_heavy_factor: fields
            .whole("cpu_heavy_factor", 1..=1_000)?
            .unwrap_or(default.cpu_heavy_factor),
        tenants: weighted(fields, "tenants", TENANT_EXAMPLE)?.unwrap_or(default.tenants),
        failed: share("failed", default.failed)?,
        cancelled: share("cancelled", default.cancelled)?,
        level: fields.word("level", text::LEVEL)?.unwrap_or(default.level),
    };
    if drawn.jobs.is_none() && drawn.load.is_none() {
        return Err(fields.wrong("jobs", "give a number of `jobs`, a `load`, or both"));
    }
    Ok(drawn)
}

fn rate(fields: &Fields<'_>, default: Rate) -> Read<Rate> {
    match fields.value("pattern").map(Spanned::get_ref) {
        None => Ok(default),
        Some(DeValue::Table(_)) => {
            let week = fields
                .table("pattern", &WEEK)?
                .expect("it is a table, as seen above");
            Ok(Rate::Weekly(Week {
                hours: week.weights("hours")?,
                days: week.weights("days")?,
            }))
        }
        Some(DeValue::String(word)) => match &**word {
            "office-hours" => Ok(Rate::OfficeHours),
            "homogeneous" => Ok(Rate::Homogeneous),
            other => {
                let hint = did_you_mean(other, ["office-hours", "homogeneous"]);
                let label =
                    format!("{hint}it is one of: office-hours, homogeneous, {{ hours, days }}");
                Err(fields.wrong("pattern", label))
            }
        },
        Some(other) => Err(fields.wrong(
            "pattern",
            format!(
                "expected \"office-hours\", \"homogeneous\" or a table, found {}",
                kind(other)
            ),
        )),
    }
}

/// `[[size, weight], …]`; `example` says so in messages.
fn sizes<T>(
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<T>,
    example: &str,
) -> Read<Option<Vec<(T, u32)>>>
where
    T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
{
    let Some(list) = fields.list(key)? else {
        return Ok(None);
    };
    let pair = |value: &Spanned<DeValue<'_>>| {
        let bad = |label: String| wrong(fields.source, value.span(), key, label);
        match value.get_ref() {
            DeValue::Array(pair) if pair.len() == 2 => {
                let size = whole(pair[0].get_ref(), &range).map_err(bad)?;
                let weight = whole(pair[1].get_ref(), &(0..=1_000_000)).map_err(bad)?;
                Ok((size, weight))
            }
            _ => Err(bad(format!("expected {example}"))),
        }
    };
    list.into_iter()
        .map(pair)
        .collect::<Read<Vec<_>>>()
        .map(Some)
}

/// `[[name, weight], …]`; `example` says so in messages.
pub(super) fn weighted(
    fields: &Fields<'_>,
    key: &str,
    example: &str,
) -> Read<Option<Vec<(String, u32)>>> {
    let Some(list) = fields.list(key)? else {
        return Ok(None);
    };
    let pair = |value: &Spanned<DeValue<'_>>| {
        let bad = |label: String| wrong(fields.source, value.span(), key, label);
        let DeValue::Array(pair) = value.get_ref() else {
            return Err(bad(format!("expected {example}")));
        };
        match (pair.first().map(Spanned::get_ref), pair.get(1)) {
            (Some(DeValue::String(name)), Some(weight)) if pair.len() == 2 => {
                let weight = whole(weight.get_ref(), &(0..=1_000_000)).map_err(bad)?;
                Ok((name.clone().into_owned(), weight))
            }
            _ => Err(bad(format!("expected {example}"))),
        }
    };
    list.into_iter()
        .map(pair)
        .collect::<Read<Vec<_>>>()
        .map(Some)
}

fn published(fields: &Fields<'_>) -> Read<Published> {
    Ok(Published {
        preset: fields
            .word("preset", text::PRESET)?
            .unwrap_or(Preset::Philly),
        load: fields.number("load", 1e-6..=1_000.0)?.unwrap_or_default(),
        gpus: fields.whole("gpus", 0..=WHOLE_MAX)?.unwrap_or_default(),
        window: fields.duration("window")?.unwrap_or_default(),
    })
}

fn stream(fields: &Fields<'_>) -> Read<Stream> {
    Ok(Stream {
        jobs: fields.whole("jobs", 1..=4_000_000_000)?.unwrap_or_default(),
        load: fields.number("load", 1e-6..=1_000.0)?.unwrap_or_default(),
        gpus: fields.whole("gpus", 0..=WHOLE_MAX)?.unwrap_or_default(),
        run_mean: fields
            .duration("run_mean")?
            .unwrap_or(SimDuration::from_hours(1)),
    })
}

fn fill(fields: &Fields<'_>) -> Read<FillPods> {
    let interval = fields.duration("interval")?;
    if interval.is_some_and(SimDuration::is_zero) {
        return Err(fields.wrong("interval", "it is longer than 0s"));
    }
    Ok(FillPods {
        path: fields.name("path")?.into(),
        strict: fields.flag("strict")?.unwrap_or_default(),
        percent: fields.whole("percent", 1..=1_000)?.unwrap_or(130),
        interval: interval.unwrap_or(SimDuration::from_secs(1)),
    })
}

fn file(fields: &Fields<'_>) -> Read<Table> {
    Ok(Table {
        path: fields.name("path")?.into(),
        strict: fields.flag("strict")?.unwrap_or_default(),
        stream: fields.flag("stream")?.unwrap_or_default(),
        first: fields
            .whole_or_none("first", 1..=i64::MAX.unsigned_abs())?
            .unwrap_or_default(),
    })
}

/// A file whose rows are in no order.
fn sorted_file(fields: &Fields<'_>) -> Read<Table> {
    let table = file(fields)?;
    if table.stream {
        let label = "the rows of this table are in no order, so it must be read whole";
        return Err(fields.wrong("stream", label));
    }
    Ok(table)
}

fn log(fields: &Fields<'_>) -> Read<Log> {
    let table = file(fields)?;
    let default = SwfOptions::default();
    Ok(Log {
        path: table.path,
        strict: table.strict,
        stream: table.stream,
        first: table.first,
        processors: fields
            .word("processors", text::PROCESSORS)?
            .unwrap_or(default.processors),
        size: fields.word("size", text::SIZE)?.unwrap_or(default.size),
        limit: fields
            .word("limit", text::LOG_LIMIT)?
            .unwrap_or(default.limit),
        tenant: fields
            .word("tenant", text::TENANT_OF)?
            .unwrap_or(default.tenant),
        keep_unstarted: fields
            .flag("keep_unstarted")?
            .unwrap_or(default.keep_unstarted),
        zero: fields.word("zero", text::ZERO)?.unwrap_or(default.zero),
    })
}
