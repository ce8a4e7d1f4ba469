//! How the values of a scenario are written: durations as text, money in dollars, closed sets as words.
//!
//! The functions are for `serialize_with`; reading is in `fields`, where errors have a place.

use serde::{Serialize, Serializer};
use windtunnel_core::{
    Horizon, Level, LimitMode, MicroDollars, MigInstance, OnLoss, Ppm, SimDuration, Transport,
};
use windtunnel_traces::Zero;
use windtunnel_traces::swf::{Limit, Processors, Size, TenantOf};
use windtunnel_traces::synthetic::Preset;

use super::devices::{DEVICES, Devices};
use super::faults::{Fleet, Repair};
use super::sharing::{SHARING, SharingMode};
use super::speed::{SPEED, SpeedWord};

/// A closed set of values and their words.
pub(crate) type Words<T> = &'static [(&'static str, T)];

pub(crate) const LIMIT: Words<LimitMode> = &[
    ("exact", LimitMode::Exact),
    ("policy", LimitMode::Policy),
    ("ignore", LimitMode::Ignore),
];
pub(crate) const ON_LOSS: Words<OnLoss> =
    &[("restart", OnLoss::Restart), ("replace", OnLoss::Replace)];
pub(crate) const FLEET: Words<Fleet> = &[("none", Fleet::None), ("llama3", Fleet::Llama3)];
pub(crate) const REPAIR: Words<Repair> = &[
    ("exponential", Repair::Exponential),
    ("mixture", Repair::Mixture),
];
pub(crate) const PROCESSORS: Words<Processors> =
    &[("cores", Processors::Cores), ("gpus", Processors::Gpus)];
pub(crate) const SIZE: Words<Size> = &[("used", Size::Used), ("requested", Size::Requested)];
pub(crate) const LOG_LIMIT: Words<Limit> =
    &[("none", Limit::None), ("requested", Limit::Requested)];
pub(crate) const TENANT_OF: Words<TenantOf> =
    &[("user", TenantOf::User), ("group", TenantOf::Group)];
pub(crate) const PRESET: Words<Preset> = &[
    ("philly", Preset::Philly),
    ("helios", Preset::Helios),
    ("openb", Preset::Openb),
];
pub(crate) const TRANSPORT: Words<Transport> = &[
    ("infiniband", Transport::InfiniBand),
    ("roce", Transport::Roce),
    ("efa", Transport::Efa),
    ("tcp", Transport::Tcp),
];
pub(crate) const LEVEL: Words<Option<Level>> = &[
    ("node", Some(Level::Node)),
    ("domain", Some(Level::Domain)),
    ("rack", Some(Level::Rack)),
    ("pod", Some(Level::Pod)),
    ("none", None),
];
pub(crate) const ZERO: Words<Zero> = &[("first-job", Zero::FirstJob), ("log", Zero::Log)];

fn word_of<T: PartialEq>(words: Words<T>, value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found.map_or("", |(word, _)| word)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn sharing<S: Serializer>(value: &SharingMode, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(SHARING, value))
}

/// A mode that is given.
#[expect(clippy::ref_option, reason = "serde's signature")]
pub(super) fn own_sharing<S: Serializer>(
    value: &Option<SharingMode>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(mode) => sharing(mode, out),
        None => out.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn devices<S: Serializer>(value: &Devices, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(DEVICES, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn speed<S: Serializer>(value: &SpeedWord, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(SPEED, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn limit<S: Serializer>(value: &LimitMode, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(LIMIT, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn on_loss<S: Serializer>(value: &OnLoss, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(ON_LOSS, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn processors<S: Serializer>(value: &Processors, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(PROCESSORS, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn size<S: Serializer>(value: &Size, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(SIZE, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn log_limit<S: Serializer>(value: &Limit, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(LOG_LIMIT, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn tenant_of<S: Serializer>(value: &TenantOf, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(TENANT_OF, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn zero<S: Serializer>(value: &Zero, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(ZERO, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn preset<S: Serializer>(value: &Preset, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(PRESET, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn transport<S: Serializer>(value: &Transport, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(TRANSPORT, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn level<S: Serializer>(value: &Option<Level>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(LEVEL, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn fleet<S: Serializer>(value: &Fleet, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(FLEET, value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn repair<S: Serializer>(value: &Repair, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(word_of(REPAIR, value))
}

/// A number of millionths; the nearest float names them exactly.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn ppm<S: Serializer>(value: &Ppm, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(f64::from(value.0) / 1e6)
}

/// Instances by the names that are the same on every model.
pub(super) fn instances<S: Serializer>(
    value: &[(MigInstance, u32)],
    out: S,
) -> Result<S::Ok, S::Error> {
    let named = value
        .iter()
        .map(|(instance, weight)| (instance.name(), weight));
    out.collect_seq(named)
}

/// `2h 30m`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn duration<S: Serializer>(value: &SimDuration, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

/// A duration that is given.
pub(super) fn given_duration<S: Serializer>(
    value: &Option<SimDuration>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(length) => out.collect_str(length),
        None => out.serialize_none(),
    }
}

/// `2h 30m` or `never`.
pub(super) fn never<S: Serializer>(value: &Option<SimDuration>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(length) => out.collect_str(length),
        None => out.serialize_str("never"),
    }
}

/// `30d` or `drain`.
pub(super) fn horizon<S: Serializer>(value: &Horizon, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Horizon::After(length) => out.collect_str(length),
        Horizon::Drain => out.serialize_str("drain"),
    }
}

/// Dollars; the nearest float names the millionths exactly.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn dollars<S: Serializer>(value: &MicroDollars, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(value.as_dollars())
}

/// Dollars that were given.
pub(super) fn given<S: Serializer>(
    value: &Option<MicroDollars>,
    out: S,
) -> Result<S::Ok, S::Error> {
    value.map(MicroDollars::as_dollars).serialize(out)
}

/// A number or `none`.
pub(super) fn number<T: Serialize, S: Serializer>(
    value: &Option<T>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(out),
        None => out.serialize_str("none"),
    }
}
