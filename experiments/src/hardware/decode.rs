//! TOML to [`HardwareModel`]: every key has one place here, and every error a place in the file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use windtunnel_core::Bytes;
use windtunnel_core::topology::{Cpu, Link, MAX_NICS, Topology};

use super::build::graph;
use super::gpu::{GPU, of_node};
use super::{CpuPart, HardwareModel, NicGroup, NvLinkPart, Power, Provenance, Verification};
use crate::error::ExperimentError;
use crate::scenario::fields::{Fields, Keys, whole, wrong};
use crate::scenario::source::{Source, SourceError, did_you_mean};

pub(super) type Found<T> = Result<T, Box<SourceError>>;

const MODEL: Keys = Keys {
    what: "a hardware model",
    required: &["name", "gpu", "cpu", "pcie"],
    optional: &[
        "title",
        "aliases",
        "source",
        "verification",
        "nvlink",
        "nics",
        "power",
    ],
};
const CPU: Keys = Keys {
    what: "[cpu]",
    required: &["family", "cores", "memory_gib"],
    optional: &[
        "sockets",
        "numa_nodes",
        "threads_per_core",
        "socket_gb_per_s",
        "source",
        "verification",
    ],
};
const PCIE: Keys = Keys {
    what: "[[pcie]]",
    required: &["kind"],
    optional: &[
        "id",
        "below",
        "numa",
        "generation",
        "gb_per_s",
        "gpus",
        "nics",
    ],
};
const NVLINK: Keys = Keys {
    what: "[nvlink]",
    required: &["generation"],
    optional: &[
        "switch_links",
        "domain_nodes",
        "pairs",
        "link_gb_per_s",
        "source",
        "verification",
    ],
};
const NICS: Keys = Keys {
    what: "[[nics]]",
    required: &["count", "gbit_per_s"],
    optional: &[
        "prefix",
        "kind",
        "effective_gb_per_s",
        "latency_us",
        "gpudirect",
        "source",
        "verification",
    ],
};
const POWER: Keys = Keys {
    what: "[power]",
    required: &["idle_watts", "max_watts"],
    optional: &["source", "verification"],
};

/// What a `[[pcie]]` table describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// A PCIe switch behind a host bridge of its own, or below another switch.
    Switch,
    /// A host bridge that its devices share.
    Bridge,
    /// A host bridge for each device.
    Bridges,
    /// NVLink-C2C to each GPU.
    C2c,
}

const BRANCHES: &[(&str, Branch)] = &[
    ("switch", Branch::Switch),
    ("bridge", Branch::Bridge),
    ("bridges", Branch::Bridges),
    ("c2c", Branch::C2c),
];

/// A `[[pcie]]` table.
#[derive(Clone, Debug)]
pub(super) struct Pcie {
    pub(super) kind: Branch,
    pub(super) id: Option<String>,
    pub(super) below: Option<String>,
    pub(super) numa: u8,
    /// Each of its links.
    pub(super) link: Link,
    pub(super) gpus: Vec<u8>,
    pub(super) nics: Vec<u8>,
}

/// Reads a hardware model; `file` is its name in messages.
///
/// # Errors
/// With file, line, column and a hint.
pub fn parse(text: &str, file: &str) -> Result<HardwareModel, Box<SourceError>> {
    read(Source { file, text })
}

/// Reads a hardware model from a file.
///
/// # Errors
/// It can't be read, or something is wrong with it.
pub fn load(path: &Path) -> Result<HardwareModel, ExperimentError> {
    parse(&text_of(path)?, &path.display().to_string()).map_err(ExperimentError::Scenario)
}

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, ExperimentError> {
    let bytes = fs::read(path).map_err(|cause| ExperimentError::Read {
        path: path.to_owned(),
        cause,
    })?;
    String::from_utf8(bytes).map_err(|_| {
        let hint = "a hardware model is text in UTF-8, and this is not";
        ExperimentError::setting(path.display().to_string(), hint)
    })
}

/// The text as a table.
pub(super) fn table<'a>(source: Source<'a>) -> Found<Spanned<DeTable<'a>>> {
    DeTable::parse(source.text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        source.error(at, "this is not TOML", error.message().replace('\n', ", "))
    })
}

fn read(source: Source<'_>) -> Found<HardwareModel> {
    let whole = table(source)?;
    let at = 0..source.text.find('\n').unwrap_or(source.text.len());
    let top = Fields::new(source, &MODEL, whole.get_ref(), at)?;
    let layout = provenance(&top, &Provenance::default())?;
    let needed = || unreachable!("a required key");
    let gpu_fields = top.table("gpu", &GPU)?.unwrap_or_else(needed);
    let gpu = of_node(&gpu_fields)?;
    let gpus = gpu_fields.whole("count", 1..=16)?.unwrap_or_default();
    let (cpu, socket) = cpu(&top.table("cpu", &CPU)?.unwrap_or_else(needed), &layout)?;
    let nvlink = top.table("nvlink", &NVLINK)?;
    let nvlink = nvlink.map(|fields| links(&fields, gpus)).transpose()?;
    let nics = nics(&top, &layout)?;
    let tables = top.tables("pcie", &PCIE)?;
    let cards = nics.iter().map(|group| group.count).sum();
    let pcie = branches(&top, &tables, gpus, cards, &cpu)?;
    let power = top.table("power", &POWER)?;
    let power = power.map(|fields| watts(&fields, &layout)).transpose()?;
    let graph = graph(gpus, &cpu, socket, nvlink.as_ref(), &nics, &pcie);
    let memory = Bytes::gib(gpu.memory_gib.into());
    let topology = Topology::derive(&graph, memory)
        .map_err(|error| source.error(top.at.clone(), error.to_string(), "in this model"))?;
    let name = top.name("name")?;
    Ok(HardwareModel {
        title: match top.value("title") {
            Some(_) => top.name("title")?,
            None => name.clone(),
        },
        name,
        aliases: names(&top, "aliases")?,
        provenance: layout,
        gpu,
        gpus,
        cpu,
        nvlink,
        nics,
        power,
        graph,
        topology: Arc::new(topology),
        text: source.text.to_owned(),
    })
}

/// Source and verification of a table; what it does not say is as `otherwise`.
pub(super) fn provenance(fields: &Fields<'_>, otherwise: &Provenance) -> Found<Provenance> {
    Ok(Provenance {
        source: match fields.value("source") {
            Some(_) => fields.name("source")?,
            None => otherwise.source.clone(),
        },
        verification: verification(fields, "verification")?.unwrap_or(otherwise.verification),
    })
}

pub(super) fn verification(fields: &Fields<'_>, key: &str) -> Found<Option<Verification>> {
    fields.word(key, Verification::WORDS)
}

/// A bandwidth in GB/s, as \[MB/s\].
pub(super) fn gb_per_s(fields: &Fields<'_>, key: &str) -> Found<Option<u32>> {
    let number = fields.number(key, 0.001..=1e5)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 10^8"
    )]
    Ok(number.map(|number| (number * 1e3).round() as u32))
}

fn names(fields: &Fields<'_>, key: &str) -> Found<Vec<String>> {
    let mut names = Vec::new();
    for value in fields.list(key)?.unwrap_or_default() {
        let text = value
            .get_ref()
            .as_str()
            .filter(|text| !text.trim().is_empty());
        let bad = || wrong(fields.source, value.span(), key, "a name is a text");
        names.push(text.ok_or_else(bad)?.to_owned());
    }
    Ok(names)
}

/// The CPUs, and the link between sockets.
fn cpu(fields: &Fields<'_>, layout: &Provenance) -> Found<(CpuPart, Link)> {
    let family = fields.text("family")?.unwrap_or_default();
    let known = Cpu::ALL.iter().find(|(word, ..)| *word == family);
    let Some(&(_, family, _)) = known else {
        let words: Vec<&str> = Cpu::ALL.iter().map(|(word, ..)| *word).collect();
        let hint = did_you_mean(family, words.iter().copied());
        return Err(fields.wrong(
            "family",
            format!("{hint}it is one of: {}", words.join(", ")),
        ));
    };
    let sockets: u8 = fields.whole("sockets", 1..=8)?.unwrap_or(1);
    let numa_nodes: u8 = fields.whole("numa_nodes", 1..=32)?.unwrap_or(sockets);
    if !numa_nodes.is_multiple_of(sockets) {
        let label = format!("each of the {sockets} sockets has as many: it is a multiple of that");
        return Err(fields.wrong("numa_nodes", label));
    }
    let cores: u32 = fields.whole("cores", 1..=4_000_000)?.unwrap_or_default();
    if !cores.is_multiple_of(numa_nodes.into()) {
        let label =
            format!("each of {numa_nodes} NUMA nodes has as many: it is a multiple of that");
        return Err(fields.wrong("cores", label));
    }
    let mut socket = Link::socket(family);
    if let Some(bandwidth) = gb_per_s(fields, "socket_gb_per_s")? {
        socket = socket.carrying(bandwidth);
    }
    let part = CpuPart {
        family,
        sockets,
        numa_nodes,
        cores,
        threads_per_core: fields.whole("threads_per_core", 1..=8)?.unwrap_or(1),
        memory_gib: fields
            .whole("memory_gib", 1..=10_000_000)?
            .unwrap_or_default(),
        provenance: provenance(fields, layout)?,
    };
    Ok((part, socket))
}

fn links(fields: &Fields<'_>, gpus: u8) -> Found<NvLinkPart> {
    let generation = fields.whole("generation", 1..=5)?.unwrap_or_default();
    let mut pairs = Vec::new();
    for value in fields.list("pairs")?.unwrap_or_default() {
        let bad = |label: String| wrong(fields.source, value.span(), "pairs", label);
        let three = value.get_ref().as_array().filter(|list| list.len() == 3);
        let Some(three) = three else {
            return Err(bad("each is [GPU, GPU, links between them]".to_owned()));
        };
        let number = |place: usize, range| whole(three[place].get_ref(), &range).map_err(bad);
        let last = gpus - 1;
        let pair = (
            number(0, 0..=last)?,
            number(1, 0..=last)?,
            number(2, 1..=36)?,
        );
        if pair.0 == pair.1 {
            return Err(bad("a link goes to another GPU".to_owned()));
        }
        pairs.push(pair);
    }
    let switch_links: u8 = fields.whole("switch_links", 1..=72)?.unwrap_or(0);
    if switch_links == 0 && pairs.is_empty() {
        let label = "give `switch_links` (per GPU, to NVSwitches) or `pairs` of GPUs";
        return Err(fields.source.error(fields.at.clone(), "no NVLinks", label));
    }
    let link = gb_per_s(fields, "link_gb_per_s")?;
    let constants = Provenance {
        source: "NVIDIA/nccl src/graph/topo.h at 5067397".to_owned(),
        verification: Verification::Source,
    };
    Ok(NvLinkPart {
        generation,
        link: link.unwrap_or(Link::nvlink(generation, 1).bandwidth),
        switch_links,
        domain_nodes: fields.whole("domain_nodes", 1..=10_000)?.unwrap_or(1),
        pairs,
        provenance: provenance(fields, &constants)?,
    })
}

fn nics(top: &Fields<'_>, layout: &Provenance) -> Found<Vec<NicGroup>> {
    let mut groups: Vec<NicGroup> = Vec::new();
    for fields in top.tables("nics", &NICS)? {
        let gbit_per_s: u32 = fields.whole("gbit_per_s", 1..=100_000)?.unwrap_or_default();
        let text = |key: &str, otherwise: &str| match fields.value(key) {
            Some(_) => fields.name(key),
            None => Ok(otherwise.to_owned()),
        };
        let latency = fields.number("latency_us", 0.0..=1e6)?.unwrap_or(0.0);
        let group = NicGroup {
            prefix: text("prefix", "mlx5_")?,
            count: fields.whole("count", 1..=64)?.unwrap_or_default(),
            kind: text("kind", "network")?,
            gbit_per_s,
            effective: gb_per_s(&fields, "effective_gb_per_s")?.unwrap_or(gbit_per_s * 125),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 10^9"
            )]
            latency: (latency * 1e3).round() as u32,
            gpudirect: fields.flag("gpudirect")?.unwrap_or(false),
            provenance: provenance(&fields, layout)?,
        };
        if groups.iter().any(|other| other.prefix == group.prefix) {
            return Err(fields.wrong("prefix", "the names of another [[nics]] begin so already"));
        }
        groups.push(group);
        let cards: usize = groups.iter().map(|group| usize::from(group.count)).sum();
        if cards > MAX_NICS {
            return Err(fields.wrong("count", format!("a node has at most {MAX_NICS} of them")));
        }
    }
    Ok(groups)
}

fn watts(fields: &Fields<'_>, layout: &Provenance) -> Found<Power> {
    Ok(Power {
        idle_watts: fields
            .whole("idle_watts", 0..=10_000_000)?
            .unwrap_or_default(),
        max_watts: fields
            .whole("max_watts", 0..=10_000_000)?
            .unwrap_or_default(),
        provenance: provenance(fields, layout)?,
    })
}

/// The PCIe trees; every GPU and every network card is in one of them, once.
fn branches(
    top: &Fields<'_>,
    tables: &[Fields<'_>],
    gpus: u8,
    nics: u8,
    cpu: &CpuPart,
) -> Found<Vec<Pcie>> {
    let mut branches: Vec<Pcie> = Vec::new();
    let (mut gpus_seen, mut nics_seen) = (vec![false; gpus.into()], vec![false; nics.into()]);
    for fields in tables {
        let kind = fields.word("kind", BRANCHES)?.unwrap_or(Branch::Switch);
        let id = fields.value("id").map(|_| fields.name("id")).transpose()?;
        if id.is_some() && branches.iter().any(|other| other.id == id) {
            return Err(fields.wrong("id", "another one has this id already"));
        }
        if id.is_some() && kind != Branch::Switch {
            return Err(fields.wrong("id", "only a switch has others below it"));
        }
        let below = fields
            .value("below")
            .map(|_| fields.name("below"))
            .transpose()?;
        let above = branches
            .iter()
            .find(|other| below.is_some() && other.id == below);
        if below.is_some() && (above.is_none() || kind != Branch::Switch) {
            let label = "a switch may be below one that stands before it and has this `id`";
            return Err(fields.wrong("below", label));
        }
        let numa = fields.whole("numa", 0..=cpu.numa_nodes - 1)?;
        let numa = match (numa, above) {
            (Some(_), Some(_)) => {
                return Err(fields.wrong("numa", "it is that of the switch above"));
            }
            (None, Some(above)) => above.numa,
            (numa, None) => numa.unwrap_or(0),
        };
        let mut link = match kind {
            Branch::C2c => Link::c2c(),
            _ => Link::pcie(fields.whole("generation", 3..=6)?.unwrap_or(4)),
        };
        if let Some(bandwidth) = gb_per_s(fields, "gb_per_s")? {
            link = link.carrying(bandwidth);
        }
        let cards = devices(fields, "nics", &mut nics_seen)?;
        if kind == Branch::C2c && !cards.is_empty() {
            return Err(fields.wrong("nics", "NVLink-C2C goes to GPUs only"));
        }
        let gpus = devices(fields, "gpus", &mut gpus_seen)?;
        branches.push(Pcie {
            kind,
            id,
            below,
            numa,
            link,
            gpus,
            nics: cards,
        });
    }
    for (what, seen) in [("GPU", gpus_seen), ("network card", nics_seen)] {
        if let Some(missing) = seen.iter().position(|seen| !seen) {
            let label = "each is in the `gpus` or `nics` of one [[pcie]]";
            let message = format!("{what} {missing} hangs nowhere");
            return Err(top.source.error(top.at.clone(), message, label));
        }
    }
    Ok(branches)
}

/// The numbers of devices that were not seen before.
fn devices(fields: &Fields<'_>, key: &str, seen: &mut [bool]) -> Found<Vec<u8>> {
    let mut numbers: Vec<u8> = Vec::new();
    for value in fields.list(key)?.unwrap_or_default() {
        let bad = |label: String| wrong(fields.source, value.span(), key, label);
        let number: u8 = whole(value.get_ref(), &(0..=u8::MAX)).map_err(bad)?;
        match seen.get_mut(usize::from(number)) {
            None => return Err(bad(format!("there are {} of them, from 0", seen.len()))),
            Some(true) => return Err(bad("it hangs somewhere else already".to_owned())),
            Some(seen) => *seen = true,
        }
        numbers.push(number);
    }
    Ok(numbers)
}
