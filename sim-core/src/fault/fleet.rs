//! Nodes, GPUs, links and stragglers, at the rates of a fleet.

use std::sync::Arc;

use super::draw::{below, exponential};
use super::{Fault, FaultKind, FaultModel, FaultStream, RepairTimes, Site, together};
use crate::rng::{Purpose, Seed, StreamRng, stream};
use crate::time::{SimDuration, SimTime};
use crate::units::{PPM, Ppm};

/// By how much stragglers are slower, uniform between two factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowBy {
    /// Least factor: 1,100,000 is 1.1 times as long for the same work.
    pub min: Ppm,
    /// Largest factor.
    pub max: Ppm,
}

/// Independent faults of nodes and of what is in them, each kind at one rate per unit.
///
/// Times between failures are exponential: per node and kind a Poisson process of all its units
/// together, each fault on a unit drawn evenly. What is broken is not broken again, which leaves each
/// unit with an exponential time from its repair to its next failure.
///
/// Draws are keyed by (pool, place in it, kind, number of the fault): the n-th GPU failure of a node is
/// the same whatever other kinds are on and however long repairs take.
///
/// # Defaults
/// [`llama3`](Self::llama3) is derived from the 419 unexpected interruptions of 54 days on 16,384 H100s
/// in nodes of 8 (Meta, "The Llama 3 Herd of Models", 2024, Table 5), over 21,233,664 GPU-hours and
/// 2,654,208 node-hours. No source splits them by what stops and what degrades; the split is:
///
/// | kind | of the 419 | mean time between failures |
/// | --- | --- | --- |
/// | `gpu` | 253: faulty GPU 148 less 15, HBM3 72, SRAM 19, system processor 17, silent corruption 6, thermal 6 | 83,928 h per GPU |
/// | `nvlink` | 15 of the 148, the usual share of Xid 74 among GPU errors (10 %, general knowledge) | 1,415,578 h per GPU |
/// | `nic` | 42: switch or cable 35, network card 7 | 505,563 h per card, one per GPU |
/// | `node` | 46: unplanned host maintenance 32, SSD 3, power 3, chassis 2, board 2, CPU 2, memory 2 | 57,700 h per node |
/// | none | 63: software 54, collective watchdog 7, dependency 2: no repair of a node mends them | |
///
/// ```
/// use windtunnel_core::rng::Seed;
/// use windtunnel_core::{FaultModel, FleetFaults, PoolId, SimDuration, SimTime, Site};
/// let fleet = FleetFaults::llama3();
/// let site = Site { pool: PoolId(0), ordinal: 7, gpus: 8 };
/// let mut all = fleet.streams(Seed(1), site).remove(0);
/// let first = all.next(SimTime::ZERO).unwrap();
/// let again = fleet.streams(Seed(1), site).remove(0).next(SimTime::ZERO).unwrap();
/// assert_eq!(first, again);
///
/// // 16,384 GPUs: something that stops the job every 4.3 hours.
/// let job = fleet.mean_between_stops(2_048, 16_384).unwrap();
/// assert_eq!(job.as_nanos() / 60_000_000_000, 260, "minutes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetFaults {
    /// Mean time between failures of one node as a whole; `None`: never.
    pub node: Option<SimDuration>,
    /// Mean time between failures of one GPU.
    pub gpu: Option<SimDuration>,
    /// Mean time between failures of one GPU's NVLink.
    pub nvlink: Option<SimDuration>,
    /// Mean time between failures of one network card; a node has one per GPU, and at least one.
    pub nic: Option<SimDuration>,
    /// How long repairs of all of these take.
    pub repair: RepairTimes,
    /// Mean time between slowdowns that one GPU brings upon its node.
    pub slow: Option<SimDuration>,
    /// How long slowdowns last.
    pub slow_for: RepairTimes,
    /// By how much they slow.
    pub slow_by: SlowBy,
}

impl FleetFaults {
    /// Nothing fails; repairs and slowdowns, if switched on, have the usual lengths: the
    /// [mixture](RepairTimes::mixture), a day.
    #[must_use]
    pub fn none() -> Self {
        Self {
            node: None,
            gpu: None,
            nvlink: None,
            nic: None,
            repair: RepairTimes::mixture(),
            slow: None,
            slow_for: RepairTimes::Exponential(SimDuration::from_days(1)),
            slow_by: SlowBy {
                min: Ppm(1_100_000),
                max: Ppm(1_500_000),
            },
        }
    }

    /// Failures as in the table above; no stragglers.
    #[must_use]
    pub fn llama3() -> Self {
        Self {
            node: Some(SimDuration::from_hours(57_700)),
            gpu: Some(SimDuration::from_hours(83_928)),
            nvlink: Some(SimDuration::from_hours(1_415_578)),
            nic: Some(SimDuration::from_hours(505_563)),
            ..Self::none()
        }
    }

    /// The same with stragglers: 0.3 % of GPUs are slow at any time, by 1.1 to 1.5 times, for a day at a
    /// time. General knowledge (`straggler_model`, whose shape is chosen to reach the 42.5 % of jobs at
    /// least 10 % slower of Lin et al., OSDI 2025); the day is an assumption. A GPU is slow a day out of
    /// 333⅓, so 332⅓ days lie between.
    #[must_use]
    pub fn with_stragglers(mut self) -> Self {
        self.slow = Some(SimDuration::from_hours(7_976));
        self
    }

    /// Mean time between faults of each kind on a node of so many GPUs.
    fn means(&self, gpus: u8) -> [Option<SimDuration>; KINDS] {
        let units = u64::from(gpus);
        let share = |mean: Option<SimDuration>, units: u64| {
            let nanos = mean?.as_nanos().checked_div(units)?;
            Some(SimDuration::from_nanos(nanos.max(1)))
        };
        [
            share(self.node, 1),
            share(self.gpu, units),
            share(self.nvlink, units),
            share(self.nic, units.max(1)),
            share(self.slow, units),
        ]
    }
}

/// Kinds of fault, in the order of [`FleetFaults::means`].
const KINDS: usize = 5;

/// All kinds of one node, the next first: one event pending per node, however many kinds are on.
#[derive(Clone, Debug)]
struct FleetStream {
    fleet: Arc<FleetFaults>,
    seed: Seed,
    site: Site,
    /// When the next fault of each kind begins; [`SimTime::MAX`]: never.
    due: [SimTime; KINDS],
    /// Faults of each kind so far.
    count: [u32; KINDS],
}

impl FleetStream {
    /// The draws of the present fault of a kind, and the time from the one before.
    fn draws(&self, kind: usize) -> Option<(SimDuration, StreamRng)> {
        let mean = self.fleet.means(self.site.gpus)[kind]?;
        let what = u8::try_from(kind + 1).expect("few kinds");
        let domain = self.site.domain(what, self.count[kind]);
        let ordinal = u64::from(self.site.ordinal);
        let mut rng = stream(self.seed, Purpose::Faults, domain, ordinal);
        Some((exponential(mean, &mut rng), rng))
    }

    /// Finds out when the next fault of a kind begins, after `last`.
    fn look_ahead(&mut self, kind: usize, last: SimTime) {
        let gap = self.draws(kind).map(|(gap, _)| gap);
        self.due[kind] = gap.map_or(SimTime::MAX, |gap| last.saturating_add(gap));
    }
}

impl FaultStream for FleetStream {
    fn next(&mut self, from: SimTime) -> Option<Fault> {
        let kind = (0..KINDS).min_by_key(|kind| self.due[*kind])?;
        let at = self.due[kind];
        if at == SimTime::MAX {
            return None;
        }
        let (_, mut rng) = self.draws(kind)?;
        let gpus = self.site.gpus;
        let mut unit = |units: u8| {
            let drawn = below(&mut rng, u64::from(units.max(1)));
            u8::try_from(drawn).expect("less than a byte")
        };
        let what = match kind {
            0 => FaultKind::Node,
            1 => FaultKind::Gpu(unit(gpus)),
            2 => FaultKind::Nvlink(unit(gpus)),
            3 => FaultKind::Nic(unit(gpus)),
            _ => FaultKind::Slow(self.fleet.slow_by.draw(&mut rng)),
        };
        let repair = match kind {
            4 => self.fleet.slow_for.draw(&mut rng),
            _ => self.fleet.repair.draw(&mut rng),
        };
        self.count[kind] += 1;
        self.look_ahead(kind, at);
        Some(Fault {
            at: at.max(from),
            repair,
            what,
        })
    }

    fn overlaps(&self) -> bool {
        true
    }

    fn clone_stream(&self) -> Box<dyn FaultStream> {
        Box::new(self.clone())
    }
}

impl SlowBy {
    /// The speed of a straggler: the inverse of an evenly drawn factor.
    fn draw(self, rng: &mut StreamRng) -> Ppm {
        let (min, max) = (self.min.0.max(PPM), self.max.0.max(PPM));
        let spread = u64::from(max.saturating_sub(min)) + 1;
        let factor = u64::from(min) + below(rng, spread);
        let whole = u64::from(PPM);
        Ppm(u32::try_from((whole * whole + factor / 2) / factor).expect("at most one"))
    }
}

impl FaultModel for FleetFaults {
    fn streams(&self, seed: Seed, site: Site) -> Vec<Box<dyn FaultStream>> {
        let mut all = FleetStream {
            fleet: Arc::new(self.clone()),
            seed,
            site,
            due: [SimTime::MAX; KINDS],
            count: [0; KINDS],
        };
        for kind in 0..KINDS {
            all.look_ahead(kind, SimTime::ZERO);
        }
        if all.due == [SimTime::MAX; KINDS] {
            return Vec::new();
        }
        vec![Box::new(all)]
    }

    /// Nodes and GPUs stop work; links and stragglers slow it.
    fn mean_between_stops(&self, nodes: u32, gpus: u64) -> Option<SimDuration> {
        let of = |mean: Option<SimDuration>, units: u64| {
            let nanos = mean?.as_nanos().checked_div(units)?;
            Some(SimDuration::from_nanos(nanos))
        };
        together(of(self.node, nodes.into()), of(self.gpu, gpus))
    }

    fn clone_model(&self) -> Box<dyn FaultModel> {
        Box::new(self.clone())
    }
}
