//! TOML to [`Scenario`]: every key has one place here, and every error a place in the file.

use toml::de::{DeTable, DeValue};
use windtunnel_core::{Horizon, Sharing, SimDuration};
use windtunnel_policies::registry;

use super::decode_workload::{weighted, workload};
use super::fabric::{FabricSpec, Oversubscription};
use super::faults::{FAULTS, Faults, check_pools, faults};
use super::fields::{Fields, Keys, whole, wrong};
use super::hardware;
use super::sharing::{self, SHARING};
use super::source::{Source, SourceError};
use super::{
    BehaviourMix, Cluster, IN_CODE, PlatformSpec, Pool, Rented, Run, Scenario, Staff, text,
};
use crate::error::ExperimentError;

/// Most seeds of a scenario.
const SEEDS_MAX: usize = 100_000;
pub(super) const WHOLE_MAX: u32 = 10_000_000;

/// How often fragmentation is sampled, unless a scenario says otherwise.
const SAMPLE_EVERY: SimDuration = SimDuration::from_hours(1);

pub(super) const SCENARIO: Keys = Keys {
    what: "a scenario",
    required: &["scenario", "workload", "platforms"],
    optional: &[
        "behaviours",
        "pools",
        "cluster",
        "fabric",
        "faults",
        "staff",
    ],
};
pub(super) const RUN: Keys = Keys {
    what: "[scenario]",
    required: &["name"],
    optional: &["seeds", "horizon", "sample_every"],
};
pub(super) const BEHAVIOURS: Keys = Keys {
    what: "[behaviours]",
    required: &[],
    optional: &["mix", "file", "toml"],
};
pub(super) const POOL: Keys = Keys {
    what: "[[pools]]",
    required: &["name"],
    optional: &[
        "nodes",
        "rented",
        "hardware",
        "hardware_file",
        "hardware_toml",
        "gpus_per_node",
        "gpu_model",
        "gpu_memory_gb",
        "sharing",
        "cores",
        "memory_gib",
        "usd_per_node_hour",
        "nodes_per_domain",
        "nodes_per_rack",
    ],
};
pub(super) const FABRIC: Keys = Keys {
    what: "[fabric]",
    required: &[],
    optional: &[
        "nodes_per_rack",
        "racks_per_pod",
        "rack_oversubscription",
        "pod_oversubscription",
        "transport",
        "rdma",
        "rail_optimised",
    ],
};
pub(super) const CLUSTER: Keys = Keys {
    what: "[cluster]",
    required: &["kind", "path"],
    optional: &["usd_per_gpu_hour"],
};
pub(super) const RENTED: Keys = Keys {
    what: "rented",
    required: &["max"],
    optional: &[
        "min",
        "request_delay",
        "boot_delay",
        "billing_granularity",
        "billing_minimum",
    ],
};
pub(super) const STAFF: Keys = Keys {
    what: "[staff]",
    required: &[],
    optional: &["usd_per_hour", "usd_per_gpu_hour"],
};
pub(super) const PLATFORM: Keys = Keys {
    what: "[[platforms]]",
    required: &["name", "policy"],
    optional: &[
        "gang_timeout",
        "on_loss",
        "sharing",
        "slots_per_gpu",
        "mig_reconfigure",
        "retries",
        "devices",
        "speed",
        "detection_delay",
        "driver_failure",
        "driver_retry_min",
        "driver_retry_max",
        "limit",
        "rdma",
        "staff_usd_per_hour",
        "staff_usd_per_gpu_hour",
        "control_plane_usd_per_hour",
    ],
};
pub(super) type Read<T> = Result<T, Box<SourceError>>;

/// Reads a scenario; what is not given has its default, values that depend on others are left open.
pub(super) fn decode(source: Source<'_>) -> Read<Scenario> {
    let whole = DeTable::parse(source.text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        source.error(at, "this is not TOML", error.message().replace('\n', ", "))
    })?;
    let at = 0..source.text.find('\n').unwrap_or(source.text.len());
    let top = Fields::new(source, &SCENARIO, whole.get_ref(), at)?;
    let cluster = top.table("cluster", &CLUSTER)?;
    let pools = match (&cluster, top.value("pools")) {
        (Some(_), Some(_)) => {
            return Err(top.wrong("cluster", "give either [[pools]] or a [cluster]"));
        }
        (None, None) => {
            let label = "a scenario needs [[pools]], or a [cluster] from a list of nodes";
            return Err(source.error(top.at.clone(), "`pools` is missing", label));
        }
        _ => top.tables("pools", &POOL)?,
    };
    let platforms = top.tables("platforms", &PLATFORM)?;
    let fabric = top
        .table("fabric", &FABRIC)?
        .map_or(Ok(FabricSpec::default()), |f| fabric(&f))?;
    let listed_pools = match cluster {
        Some(_) => Vec::new(),
        None => named("pools", &top, &pools, pool)?,
    };
    check_racks(&pools, &listed_pools, &fabric)?;
    let scenario = Scenario {
        run: match top.table("scenario", &RUN)? {
            Some(fields) => run(&fields)?,
            None => unreachable!("a required key"),
        },
        workload: workload(&top, &listed_pools)?,
        behaviours: match top.table("behaviours", &BEHAVIOURS)? {
            Some(fields) => Some(behaviours(&fields)?),
            None => None,
        },
        pools: listed_pools,
        cluster: cluster.as_ref().map(listed).transpose()?,
        fabric,
        faults: top
            .table("faults", &FAULTS)?
            .map_or(Ok(Faults::default()), |f| faults(&f))?,
        staff: top
            .table("staff", &STAFF)?
            .map_or(Ok(Staff::default()), |f| staff(&f))?,
        platforms: named("platforms", &top, &platforms, platform)?,
    };
    if let (Some(fields), None) = (top.table("faults", &FAULTS)?, &scenario.cluster) {
        let names: Vec<&str> = scenario.pools.iter().map(|pool| &*pool.name).collect();
        check_pools(&fields, &names)?;
    }
    sharing::check((&scenario.pools, &pools), (&scenario.platforms, &platforms))?;
    Ok(scenario)
}

/// At least one entry, no two of one name.
fn named<T>(
    key: &str,
    top: &Fields<'_>,
    tables: &[Fields<'_>],
    read: impl Fn(&Fields<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    if tables.is_empty() {
        return Err(top.wrong(key, "at least one is needed"));
    }
    let mut entries = Vec::with_capacity(tables.len());
    for (place, fields) in tables.iter().enumerate() {
        let name = fields.name("name")?;
        for other in &tables[..place] {
            if other.text("name")? == Some(&name) {
                return Err(fields.wrong("name", "another one has this name already"));
            }
        }
        entries.push(read(fields)?);
    }
    Ok(entries)
}

fn run(fields: &Fields<'_>) -> Read<Run> {
    Ok(Run {
        name: fields.name("name")?,
        seeds: seeds(fields)?,
        horizon: match fields.duration_or("horizon", "drain")? {
            Some(Some(length)) if length.is_zero() => {
                return Err(fields.wrong("horizon", "a run lasts longer than 0s"));
            }
            Some(Some(length)) => Horizon::After(length),
            Some(None) | None => Horizon::Drain,
        },
        sample_every: match fields.duration_or("sample_every", "never")? {
            Some(Some(length)) if length.is_zero() => {
                return Err(fields.wrong("sample_every", "it is longer than 0s, or \"never\""));
            }
            Some(given) => given,
            None => Some(SAMPLE_EVERY),
        },
    })
}

fn seeds(fields: &Fields<'_>) -> Read<Vec<u64>> {
    let Some(value) = fields.value("seeds") else {
        return Ok(vec![1]);
    };
    let DeValue::Array(_) = value.get_ref() else {
        let most = SEEDS_MAX as u64;
        let count = whole(value.get_ref(), &(1..=most))
            .map_err(|label| fields.wrong("seeds", format!("{label}, or a list of seeds")))?;
        return Ok((1..=count).collect());
    };
    let list = fields.list("seeds")?.unwrap_or_default();
    if list.is_empty() || list.len() > SEEDS_MAX {
        return Err(fields.wrong("seeds", format!("it has 1 to {SEEDS_MAX} seeds")));
    }
    let mut seeds = Vec::with_capacity(list.len());
    for value in list {
        let at = |label: String| wrong(fields.source, value.span(), "seeds", label);
        let seed = whole(value.get_ref(), &(0..=i64::MAX.unsigned_abs())).map_err(at)?;
        if seeds.contains(&seed) {
            return Err(at("this seed is in the list already".to_owned()));
        }
        seeds.push(seed);
    }
    Ok(seeds)
}

fn behaviours(fields: &Fields<'_>) -> Read<BehaviourMix> {
    let example = "[behaviour, weight], such as [\"vision-training\", 30]";
    let mix = weighted(fields, "mix", example)?;
    let file = match fields.value("file") {
        Some(_) => Some(fields.name("file")?.into()),
        None => None,
    };
    let mut mixed = BehaviourMix::new(file, mix.clone().unwrap_or_default());
    mixed.toml = fields.text("toml")?.map(str::to_owned);
    let has_own = mixed.file.is_some() || mixed.toml.is_some();
    if mixed.file.is_some() && mixed.toml.is_some() {
        return Err(fields.wrong("toml", "give a `file` of behaviours, or its text as `toml`"));
    }
    if mix.is_none() && !has_own {
        let label =
            format!("it has at least one {example}; or a `file`, for rows that name theirs");
        return Err(fields
            .source
            .error(fields.at.clone(), "`mix` is missing", label));
    }
    if mix.is_some() && mixed.mix.iter().all(|(_, weight)| *weight == 0) {
        return Err(fields.wrong("mix", format!("it has at least one {example}")));
    }
    // A file's own are looked at later, where paths are known.
    if mixed.file.is_none()
        && let Err(error) = mixed.clone().read()
    {
        return Err(match error {
            ExperimentError::Scenario(error) => error,
            error => fields.wrong("mix", error.to_string()),
        });
    }
    Ok(mixed)
}

fn pool(fields: &Fields<'_>) -> Read<Pool> {
    let nodes = fields.whole("nodes", 1..=WHOLE_MAX)?;
    let rented = fields
        .table("rented", &RENTED)?
        .map(|f| rented(&f))
        .transpose()?;
    if nodes.is_some() == rented.is_some() {
        let which = if nodes.is_some() { "rented" } else { "name" };
        return Err(fields.wrong(which, "a pool has either `nodes` (owned) or `rented`"));
    }
    let has_hardware = hardware::is_given(fields)?;
    if !has_hardware && fields.value("gpus_per_node").is_none() {
        let label = "[[pools]] needs name, and gpus_per_node or hardware";
        let at = fields.at.clone();
        return Err(fields.source.error(at, "`gpus_per_node` is missing", label));
    }
    let text = |key: &str| fields.value(key).map(|_| fields.name(key)).transpose();
    Ok(Pool {
        model: hardware::named(fields)?,
        hardware: text("hardware")?,
        hardware_file: text("hardware_file")?.map(Into::into),
        hardware_toml: fields.text("hardware_toml")?.map(str::to_owned),
        name: fields.name("name")?,
        nodes,
        rented,
        gpus_per_node: fields.whole("gpus_per_node", 0..=16)?.unwrap_or_default(),
        gpu_model: match fields.value("gpu_model") {
            Some(_) => fields.name("gpu_model")?,
            None if has_hardware => String::new(),
            None => "gpu".to_owned(),
        },
        gpu_memory_gb: fields.whole("gpu_memory_gb", 1..=100_000)?,
        sharing: fields.word("sharing", SHARING)?,
        cores: fields.whole("cores", 0..=4_000_000)?.unwrap_or_default(),
        memory_gib: fields
            .whole("memory_gib", 0..=WHOLE_MAX)?
            .unwrap_or_default(),
        usd_per_node_hour: fields.dollars("usd_per_node_hour")?.unwrap_or_default(),
        nodes_per_domain: fields.whole("nodes_per_domain", 1..=WHOLE_MAX)?,
        nodes_per_rack: fields.whole("nodes_per_rack", 0..=WHOLE_MAX)?,
    })
}

/// An oversubscription below 1 would be bandwidth that nobody can use.
fn fabric(fields: &Fields<'_>) -> Read<FabricSpec> {
    let ratio = |key| -> Read<Oversubscription> {
        let given = fields.number(key, 1.0..=1_000.0)?;
        Ok(given.map_or_else(Oversubscription::default, Oversubscription::of))
    };
    let plain = FabricSpec::default();
    Ok(FabricSpec {
        nodes_per_rack: fields
            .whole("nodes_per_rack", 0..=WHOLE_MAX)?
            .unwrap_or_default(),
        racks_per_pod: fields
            .whole("racks_per_pod", 0..=WHOLE_MAX)?
            .unwrap_or_default(),
        rack_oversubscription: ratio("rack_oversubscription")?,
        pod_oversubscription: ratio("pod_oversubscription")?,
        transport: fields
            .word("transport", text::TRANSPORT)?
            .unwrap_or_default(),
        rdma: fields.flag("rdma")?.unwrap_or(plain.rdma),
        rail_optimised: fields.flag("rail_optimised")?.unwrap_or_default(),
    })
}

/// Racks must hold whole NVLink domains.
fn check_racks(tables: &[Fields<'_>], pools: &[Pool], fabric: &FabricSpec) -> Read<()> {
    for (pool, fields) in pools.iter().zip(tables) {
        let domain = pool.nodes_per_domain.unwrap_or(1);
        let rack = pool.nodes_per_rack.unwrap_or(fabric.nodes_per_rack);
        if rack % domain != 0 {
            let label = format!(
                "NVLink domains of {domain} nodes do not fill racks of {rack}: let nodes_per_rack be a multiple of {domain}"
            );
            let own = pool.nodes_per_rack.is_some();
            let key = if own {
                "nodes_per_rack"
            } else {
                "nodes_per_domain"
            };
            return Err(fields.wrong(key, label));
        }
    }
    Ok(())
}

fn listed(fields: &Fields<'_>) -> Read<Cluster> {
    fields.word("kind", &[("openb", ())])?;
    let mut cluster = Cluster::openb(fields.name("path")?);
    cluster.usd_per_gpu_hour = fields.dollars("usd_per_gpu_hour")?.unwrap_or_default();
    Ok(cluster)
}

fn rented(fields: &Fields<'_>) -> Read<Rented> {
    let rented = Rented {
        min: fields.whole("min", 0..=WHOLE_MAX)?.unwrap_or_default(),
        max: fields.whole("max", 1..=WHOLE_MAX)?.unwrap_or_default(),
        request_delay: fields.duration("request_delay")?.unwrap_or_default(),
        boot_delay: fields.duration("boot_delay")?.unwrap_or_default(),
        billing_granularity: fields.duration("billing_granularity")?.unwrap_or_default(),
        billing_minimum: fields.duration("billing_minimum")?.unwrap_or_default(),
    };
    if rented.min > rented.max {
        return Err(fields.wrong("min", "min is above max"));
    }
    Ok(rented)
}

fn staff(fields: &Fields<'_>) -> Read<Staff> {
    Ok(Staff {
        usd_per_hour: fields.dollars("usd_per_hour")?.unwrap_or_default(),
        usd_per_gpu_hour: fields.dollars("usd_per_gpu_hour")?.unwrap_or_default(),
    })
}

fn platform(fields: &Fields<'_>) -> Read<PlatformSpec> {
    let policy = fields.text("policy")?.unwrap_or_default();
    if policy == IN_CODE {
        let hint =
            "it was made in code: run the program again that made it, or take this platform out";
        return Err(fields.wrong("policy", hint));
    }
    if let Err(error) = registry::policy(policy) {
        return Err(fields.wrong("policy", error.to_string()));
    }
    let plain = PlatformSpec::new("", "");
    let (least, most) = (
        fields
            .duration("driver_retry_min")?
            .unwrap_or(plain.driver_retry_min),
        fields
            .duration("driver_retry_max")?
            .unwrap_or(plain.driver_retry_max),
    );
    if least > most {
        return Err(fields.wrong("driver_retry_min", "it is above driver_retry_max"));
    }
    if least.is_zero() {
        return Err(fields.wrong("driver_retry_min", "it is longer than 0s"));
    }
    Ok(PlatformSpec {
        driver_failure: fields
            .ppm("driver_failure", 0.0..=1.0)?
            .unwrap_or(plain.driver_failure),
        driver_retry_min: least,
        driver_retry_max: most,
        name: fields.name("name")?,
        policy: policy.to_owned(),
        gang_timeout: fields
            .duration_or("gang_timeout", "never")?
            .unwrap_or_default(),
        on_loss: fields.word("on_loss", text::ON_LOSS)?.unwrap_or_default(),
        sharing: fields.word("sharing", SHARING)?.unwrap_or_default(),
        slots_per_gpu: fields.whole("slots_per_gpu", 1..=Sharing::MAX_SLOTS)?,
        mig_reconfigure: fields.duration("mig_reconfigure")?,
        retries: fields.whole("retries", 0..=WHOLE_MAX)?,
        devices: fields
            .word("devices", super::devices::DEVICES)?
            .unwrap_or_default(),
        speed: fields
            .word("speed", super::speed::SPEED)?
            .unwrap_or_default(),
        detection_delay: fields.duration("detection_delay")?.unwrap_or_default(),
        limit: fields.word("limit", text::LIMIT)?.unwrap_or_default(),
        rdma: fields.flag("rdma")?,
        staff_usd_per_hour: fields.dollars("staff_usd_per_hour")?,
        staff_usd_per_gpu_hour: fields.dollars("staff_usd_per_gpu_hour")?,
        control_plane_usd_per_hour: fields
            .dollars("control_plane_usd_per_hour")?
            .unwrap_or_default(),
    })
}
