//! The figures of the presets. Where each comes from is said beside it and in `docs/TRACES.md`.

use windtunnel_core::{Ending, GpuRequest};

use super::Preset;

/// What a preset's jobs are drawn from.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) classes: &'static [Class],
    /// Median of the run time of a job of one GPU that completes \[s\].
    pub(super) median_s: f64,
    /// Standard deviation of the logarithm of the run time within a class and ending.
    pub(super) sigma: f64,
    /// Exponent of the number of GPUs.
    pub(super) gamma: f64,
    /// Longest run time \[s\].
    pub(super) run_max_s: u64,
    pub(super) endings: [EndingShare; 3],
    /// Jobs per hour of the day, from midnight.
    pub(super) hours: [u16; 24],
    /// Jobs per day of the week, from Monday.
    pub(super) days: [u16; 7],
    /// Jobs per virtual cluster.
    pub(super) tenants: &'static [u32],
    pub(super) estimates: bool,
}

/// Jobs that ask for the same GPUs.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) weight: u32,
    pub(super) tasks: u32,
    /// Per task.
    pub(super) gpus: GpuRequest,
    /// Cores and memory, by weight.
    pub(super) shapes: &'static [(u32, Shape)],
}

/// Cores and memory of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) cpu_milli: u32,
    pub(super) memory_mib: u64,
}

/// An ending, how often, and how its run times compare with those of jobs that complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndingShare {
    pub(super) ending: Ending,
    pub(super) weight: u32,
    pub(super) factor: f64,
}

impl Preset {
    pub(super) const fn table(self) -> &'static Table {
        match self {
            Self::Philly => &PHILLY,
            Self::Helios => &HELIOS,
            Self::Openb => &OPENB,
        }
    }
}

const NOTHING: &[(u32, Shape)] = &[(
    1,
    Shape {
        cpu_milli: 0,
        memory_mib: 0,
    },
)];

/// `gpus` whole GPUs on nodes of 8.
const fn whole(gpus: u16, weight: u32) -> Class {
    let (tasks, each) = if gpus > 8 { (gpus / 8, 8) } else { (1, gpus) };
    Class {
        weight,
        tasks: tasks as u32,
        gpus: GpuRequest::Whole(each),
        shapes: NOTHING,
    }
}

const fn ending(ending: Ending, weight: u32, factor: f64) -> EndingShare {
    EndingShare {
        ending,
        weight,
        factor,
    }
}

/// Run times, endings: the summary of 112,956 GPU jobs by the authors of Acme (Hu et al., NSDI'24).
/// Sizes: up to 4 GPUs as in a random sample of 1,000 jobs of the original log; above, the sizes of
/// the shared table weighted so that the mean is the published 1.928. Hours, days and virtual
/// clusters: counted in the shared table (64,483 jobs), days per day of that name.
static PHILLY: Table = Table {
    classes: &[
        whole(1, 8_640),
        whole(2, 230),
        whole(4, 490),
        whole(8, 430),
        whole(16, 120),
        whole(32, 55),
        whole(64, 9),
        whole(128, 4),
    ],
    median_s: 491.922,
    sigma: 2.376_52,
    gamma: 0.433_904,
    run_max_s: 4_240_676,
    endings: [
        ending(Ending::Completes, 604, 1.0),
        ending(Ending::Fails, 305, 2.618_85),
        ending(Ending::Cancelled, 90, 8.105_84),
    ],
    hours: [
        3_624, 2_907, 3_224, 2_591, 1_460, 3_226, 4_888, 5_801, 2_706, 2_521, 2_716, 2_410, 2_201,
        1_942, 1_603, 1_474, 2_526, 1_787, 1_735, 1_732, 2_891, 2_543, 3_120, 2_855,
    ],
    days: [771, 855, 1_020, 1_085, 1_327, 605, 622],
    tenants: &[
        32_799, 10_016, 9_054, 7_207, 1_171, 1_168, 1_068, 889, 582, 270, 248, 8, 3,
    ],
    estimates: true,
};

/// Run times, endings: the authors' summary of 125,303 GPU jobs of Venus (Hu et al., SC'21); the
/// longest run is that of all four clusters. Sizes, hours and days: counted in the shared table
/// (77,574 jobs; hours and days from April on, days per day of that name); three jobs of 12 GPUs are
/// left out.
static HELIOS: Table = Table {
    classes: &[
        whole(1, 39_667),
        whole(2, 3_800),
        whole(3, 95),
        whole(4, 5_804),
        whole(5, 52),
        whole(6, 96),
        whole(7, 165),
        whole(8, 19_724),
        whole(16, 3_978),
        whole(24, 781),
        whole(32, 1_828),
        whole(40, 234),
        whole(48, 246),
        whole(56, 130),
        whole(64, 128),
        whole(72, 78),
        whole(80, 145),
        whole(88, 23),
        whole(96, 12),
        whole(104, 57),
        whole(112, 34),
        whole(120, 84),
        whole(128, 62),
        whole(136, 10),
        whole(144, 32),
        whole(152, 110),
        whole(160, 196),
    ],
    median_s: 198.535,
    sigma: 2.947_89,
    gamma: 0.088_357_6,
    run_max_s: 4_320_009,
    endings: [
        ending(Ending::Completes, 526, 1.0),
        ending(Ending::Fails, 202, 0.383_278),
        ending(Ending::Cancelled, 272, 1.605_89),
    ],
    hours: [
        2_974, 1_865, 1_859, 1_035, 832, 551, 524, 592, 1_181, 2_877, 4_718, 4_984, 3_778, 4_340,
        5_011, 5_053, 5_485, 5_612, 4_053, 4_130, 4_379, 4_300, 3_720, 3_632,
    ],
    days: [695, 714, 720, 743, 589, 435, 541],
    tenants: &[1],
    estimates: true,
};

/// Quarter, half, quarter: lower quartile, median and upper quartile of the pods of a class.
macro_rules! quartiles {
    ($low:expr, $middle:expr, $high:expr) => {
        &[(1, shape($low)), (2, shape($middle)), (1, shape($high))]
    };
}

const fn shape((cpu_milli, memory_mib): (u32, u64)) -> Shape {
    Shape {
        cpu_milli,
        memory_mib,
    }
}

const fn pods(gpus: GpuRequest, weight: u32, shapes: &'static [(u32, Shape)]) -> Class {
    Class {
        weight,
        tasks: 1,
        gpus,
        shapes,
    }
}

const fn part(milli: u16, weight: u32) -> Class {
    const SHAPES: &[(u32, Shape)] = quartiles!((3_152, 5_600), (4_000, 15_258), (8_000, 30_517));
    pods(GpuRequest::Milli(milli), weight, SHAPES)
}

/// Everything: counted in the pods of the default trace (8,152 pods; Weng et al., ATC'23). Endings: `Failed` of those that were scheduled;
/// the other phases are a snapshot and say nothing of the end. Hours and days: of the last five
/// weeks, in which nearly all pods came; the trace's zero is arbitrary, so its midnight and its
/// Monday are, too.
static OPENB: Table = Table {
    classes: &[
        pods(
            GpuRequest::None,
            1_088,
            quartiles!((12_500, 49_152), (12_500, 51_200), (32_000, 57_344)),
        ),
        part(50, 7),
        part(110, 24),
        part(140, 1),
        part(160, 74),
        part(220, 62),
        part(230, 140),
        part(270, 4),
        part(290, 1),
        part(320, 328),
        part(330, 7),
        part(350, 6),
        part(370, 47),
        part(440, 2),
        part(460, 128),
        part(470, 750),
        part(480, 19),
        part(550, 72),
        part(590, 75),
        part(650, 253),
        part(810, 1_078),
        pods(
            GpuRequest::Whole(1),
            3_911,
            quartiles!((9_810, 24_576), (11_400, 48_128), (12_000, 49_152)),
        ),
        pods(
            GpuRequest::Whole(2),
            16,
            quartiles!((16_200, 65_536), (16_200, 66_560), (17_400, 66_560)),
        ),
        pods(
            GpuRequest::Whole(4),
            15,
            quartiles!((32_200, 132_096), (32_200, 132_096), (32_200, 132_096)),
        ),
        pods(
            GpuRequest::Whole(8),
            44,
            quartiles!((64_200, 263_168), (88_000, 327_680), (88_000, 327_680)),
        ),
    ],
    median_s: 738.858,
    sigma: 2.830_74,
    gamma: 0.431_702,
    run_max_s: 12_537_496,
    endings: [
        ending(Ending::Completes, 5_385, 1.0),
        ending(Ending::Fails, 1_870, 1.0),
        ending(Ending::Cancelled, 0, 1.0),
    ],
    hours: [
        478, 439, 358, 424, 414, 313, 283, 329, 242, 146, 222, 204, 152, 149, 136, 270, 299, 424,
        549, 465, 350, 430, 426, 537,
    ],
    days: [1_451, 1_512, 545, 867, 1_332, 1_109, 1_223],
    tenants: &[1],
    estimates: false,
};
