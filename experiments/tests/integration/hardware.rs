//! Hardware models: what they come to, how they print, how scenarios use them.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use windtunnel::core::DeviceSet;
use windtunnel::core::topology::PathClass;
use windtunnel::hardware::{self, HardwareModel, Verification};
use windtunnel::{ExperimentError, Scenario};

use super::support::{Place, TINY};

/// A small box of somebody's own.
const OWN: &str = "\
name = \"our-box\"
source = \"we built it\"
verification = \"source\"

[gpu]
model = \"a10\"
count = 4
memory_gib = 24

[cpu]
family = \"amd\"
sockets = 2
cores = 32
memory_gib = 256

[nvlink]
generation = 3
pairs = [[0, 1, 4]]

[[pcie]]
kind = \"switch\"
id = \"left\"
numa = 0
gpus = [0, 1]

[[pcie]]
kind = \"switch\"
below = \"left\"
nics = [0]

[[pcie]]
kind = \"bridge\"
numa = 1
gpus = [2, 3]

[[nics]]
count = 1
gbit_per_s = 100
";

fn golden(model: &str) {
    let place = Place::new();
    let done = place.run(&format!("topo {model}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    let name = format!("topo_{model}.txt");
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &done.out).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(done.out, golden, "{}", file.display());
    assert!(place.entries().is_empty());
}

#[test]
fn topo_of_a_cube_mesh() {
    golden("dgx1-v100");
}

#[test]
fn topo_of_a_box_with_many_numa_nodes() {
    golden("dgx-a100");
}

#[test]
fn topo_of_bridged_pairs() {
    golden("a100-pcie-8-bridged");
}

/// Rows as `nvidia-smi topo -m` was seen to print them.
#[test]
fn the_matrix_is_that_of_real_machines() {
    // github.com/NVIDIA/nccl/issues/1505, without its two storage cards.
    let a100 = hardware::model("dgx-a100").unwrap().matrix();
    let rows: Vec<&str> = a100.lines().collect();
    let nv = "\tNV12".repeat(7);
    let sys = "\tSYS".repeat(6);
    assert_eq!(
        rows[1],
        format!("GPU0\t X {nv}\tPXB\tPXB{sys}\t48-63,176-191\t3\t\tN/A")
    );
    let sys = "\tSYS".repeat(4);
    assert_eq!(
        rows[5],
        format!(
            "GPU4{}\t X {}{sys}\tPXB\tPXB\tSYS\tSYS\t112-127,240-255\t7\t\tN/A",
            "\tNV12".repeat(4),
            "\tNV12".repeat(3)
        )
    );
    let sys = "\tSYS".repeat(6);
    assert_eq!(
        rows[9],
        format!("NIC0\tPXB\tPXB{sys}\t X \tPXB{sys}\t\t\t\t")
    );
    // github.com/NVIDIA/nccl-tests/issues/178.
    let pcie = hardware::model("a100-pcie").unwrap();
    let classes = (0..8).map(|gpu| pcie.topology().path(2, gpu).to_string());
    assert_eq!(
        classes.collect::<Vec<_>>().join(" "),
        "NODE NODE X NV12 SYS SYS SYS SYS"
    );
    // Azure's ND H100 v5: a card beside every GPU.
    let h100 = hardware::model("hgx-h100").unwrap().topology();
    assert_eq!(h100.nics()[5].paths[5], PathClass::Pix);
    assert_eq!(h100.nics()[5].paths[4], PathClass::Node);
    assert_eq!(h100.nics()[5].paths[0], PathClass::Sys);
}

fn busbw(model: &str, gpus: &[u32]) -> f64 {
    let set = DeviceSet(gpus.iter().fold(0, |set, gpu| set | 1 << gpu));
    f64::from(hardware::model(model).unwrap().topology().collective(set)) / 1e3
}

/// What nccl-tests measured on one node, and how far off the planner's constants are. No constant was
/// fitted to a row; the bound is what the worst of them needs, a pair behind bridges.
#[test]
fn bus_bandwidths_are_near_what_was_measured() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7];
    let rows = [
        ("dgx-a100", &all[..], 232.5, "nccl #1048"),
        ("aws-p4d-24xlarge", &all, 230.8, "nccl #527"),
        ("hgx-h100", &all, 370.0, "nccl-tests #212, ring"),
        ("a100-pcie-8-bridged", &all[..2], 208.0, "nccl-tests #178"),
        ("a100-pcie-8-bridged", &all[..3], 20.0, "nccl-tests #178"),
        ("dgx1-v100", &all, 125.0, "general knowledge"),
    ];
    for (model, gpus, measured, place) in rows {
        let found = busbw(model, gpus);
        let off = found / measured - 1.0;
        let line = format!(
            "{model} {} GPUs: {found} GB/s, measured {measured} ({place}), {:+.1} %",
            gpus.len(),
            100.0 * off
        );
        writeln!(std::io::stderr(), "{line}").unwrap();
        assert!(off.abs() < 0.16, "{line}");
    }
    // Reduction inside the switch is not a ring, and not modelled: these boxes can do better.
    for (model, measured, place) in [
        ("hgx-h100", 480.0, "nccl-tests #212, NVLS"),
        ("hgx-h200", 475.0, "nccl-tests #272, NVLS"),
    ] {
        let found = busbw(model, &all);
        let off = 100.0 * (found / measured - 1.0);
        let line =
            format!("{model}: {found} GB/s by rings, measured {measured} ({place}), {off:+.1} %");
        writeln!(std::io::stderr(), "{line}").unwrap();
        assert!(found < measured, "{line}");
    }
    // A third GPU costs a factor of ten.
    assert!(busbw("a100-pcie", &[0, 1]) / busbw("a100-pcie", &[0, 1, 2]) > 10.0);
}

/// Where an NVSwitch is, the choice of GPUs makes no difference; on a cube mesh it does.
#[test]
fn nvswitch_boxes_do_not_care_and_others_do() {
    for model in hardware::models() {
        let topology = model.topology();
        let is_switched = model
            .nvlink
            .as_ref()
            .is_some_and(|links| links.switch_links > 0);
        for k in 2..=4 {
            let sets = (1..=topology.all().0)
                .map(DeviceSet)
                .filter(|set| set.len() == k);
            let speeds: Vec<u32> = sets.map(|set| topology.collective(set)).collect();
            let spread = speeds.iter().max().unwrap() - speeds.iter().min().unwrap();
            if is_switched {
                assert_eq!(spread, 0, "{} at {k}", model.name);
            }
            if model.name.contains("v100") || model.name.contains("bridged") {
                assert!(spread > 0, "{} at {k}", model.name);
            }
        }
    }
}

#[test]
fn figures_come_with_their_sources() {
    let of = |model: &HardwareModel| {
        let nics = model.nics.iter().map(|nics| nics.provenance.clone());
        let links = model.nvlink.iter().map(|links| links.provenance.clone());
        let power = model.power.iter().map(|power| power.provenance.clone());
        let rest = [
            &model.provenance,
            &model.cpu.provenance,
            &model.gpu.provenance,
        ];
        nics.chain(links)
            .chain(power)
            .chain(rest.into_iter().cloned())
            .collect::<Vec<_>>()
    };
    for model in hardware::models() {
        for provenance in of(model) {
            assert!(!provenance.source.is_empty(), "{}", model.name);
        }
        let printed = model.topo();
        assert!(printed.contains("Figures and where they are from:"));
        assert!(printed.contains(&model.title));
    }
    let nvl72 = hardware::model("gb200-nvl72").unwrap();
    assert_eq!(nvl72.topology().nvlink_domain_nodes(), 18);
    assert_eq!(nvl72.topology().nvlink_domain_bandwidth(), 721_800);
    assert_eq!(
        nvl72.power.as_ref().unwrap().provenance.verification,
        Verification::Derived
    );
}

#[test]
fn the_list_can_be_piped() {
    let place = Place::new();
    let done = place.run("topo --list");
    assert_eq!(done.code, Some(0));
    let names: Vec<&str> = done.out.lines().collect();
    assert_eq!(names.len(), 22);
    for needed in ["dgx1-v100", "aws-p4d-24xlarge", "hgx-h100", "gb200-nvl72"] {
        assert!(names.contains(&needed), "{needed}");
    }
    for name in names {
        assert!(hardware::model(name).is_ok(), "{name}");
    }
}

#[test]
fn pictures_are_well_formed_and_the_same_each_time() {
    let place = Place::new().file("own.toml", OWN);
    for model in hardware::models() {
        let svg = model.svg();
        assert_eq!(svg, model.svg());
        for (open, close) in [("<svg ", "</svg>"), ("<text ", "</text>")] {
            assert_eq!(svg.matches(open).count(), svg.matches(close).count());
        }
        assert_eq!(boxes_that_meet(&svg), 0, "{}", model.name);
        for gpu in 0..model.gpus {
            assert_eq!(
                svg.matches(&format!(">GPU{gpu}<")).count(),
                1,
                "{}",
                model.name
            );
        }
    }
    let done = place.run("topo own.toml --svg own.svg");
    assert_eq!(done.code, Some(0), "{done:?}");
    let own = hardware::parse(OWN, "own.toml").unwrap();
    assert_eq!(place.read("own.svg"), own.svg());
    let done = place.run("topo own.toml --svg nowhere/own.svg");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("choose another file with --svg"),
        "{}",
        done.err
    );
}

/// Pairs of boxes of a picture that overlap.
fn boxes_that_meet(svg: &str) -> usize {
    let number = |line: &str, key: &str| -> i64 {
        let from = line.find(&format!(" {key}=\"")).unwrap() + key.len() + 3;
        line[from..].split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<[i64; 4]> = svg
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|line| ["x", "y", "width", "height"].map(|key| number(line, key)))
        .collect();
    assert!(boxes.len() > 4);
    let meet = |a: &[i64; 4], b: &[i64; 4]| {
        let along =
            |axis: usize| a[axis] < b[axis] + b[axis + 2] && b[axis] < a[axis] + a[axis + 2];
        along(0) && along(1)
    };
    let pairs = boxes.iter().enumerate();
    pairs
        .map(|(place, one)| {
            boxes[place + 1..]
                .iter()
                .filter(|other| meet(one, other))
                .count()
        })
        .sum()
}

#[test]
fn wrong_models_are_told_apart() {
    let place = Place::new();
    for (arguments, said) in [
        ("topo hgx-h10", "hint: did you mean `hgx-h100`?"),
        ("topo abacus", "hint: `windtunnel topo --list` names all"),
        ("topo nowhere.toml", "can't read `nowhere.toml`"),
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{arguments}");
        assert!(done.err.contains(said), "{}", done.err);
        assert!(done.out.is_empty());
    }
    assert_eq!(place.run("topo").code, Some(2));
}

/// Reading fails with this message and label, under the text `at` in its line.
fn refused(from: &str, to: &str, message: &str, at: &str, label: &str) {
    assert!(OWN.contains(from), "{from}");
    let text = OWN.replacen(from, to, 1);
    let error = hardware::parse(&text, "own.toml").unwrap_err();
    assert_eq!(error.message, message);
    let shown: String = error
        .excerpt
        .chars()
        .skip(error.column - 1)
        .take(error.width)
        .collect();
    assert_eq!(shown, at, "{error}");
    assert!(error.label.contains(label), "{error}");
}

#[test]
fn errors_in_a_model_point_at_their_place() {
    let bad = |key: &str| format!("bad value for `{key}`");
    refused(
        "count = 4",
        "cuont = 4",
        "unknown key `cuont`",
        "cuont",
        "did you mean `count`?",
    );
    refused(
        "count = 4",
        "count = 17",
        &bad("count"),
        "17",
        "from 1 to 16",
    );
    refused(
        "\"amd\"",
        "\"amb\"",
        &bad("family"),
        "\"amb\"",
        "did you mean `amd`?",
    );
    refused(
        "memory_gib = 24\n",
        "",
        &bad("model"),
        "\"a10\"",
        "did you mean `a10g`?",
    );
    refused(
        "cores = 32",
        "cores = 33",
        &bad("cores"),
        "33",
        "each of 2 NUMA nodes",
    );
    refused(
        "[2, 3]",
        "[2, 1]",
        &bad("gpus"),
        "1",
        "somewhere else already",
    );
    refused(
        "[2, 3]",
        "[2, 4]",
        &bad("gpus"),
        "4",
        "there are 4 of them, from 0",
    );
    let hangs = "each is in the `gpus` or `nics` of one [[pcie]]";
    let first = "name = \"our-box\"";
    refused("[2, 3]", "[2]", "GPU 3 hangs nowhere", first, hangs);
    refused(
        "nics = [0]\n",
        "",
        "network card 0 hangs nowhere",
        first,
        hangs,
    );
    refused(
        "below = \"left\"",
        "below = \"right\"",
        &bad("below"),
        "\"right\"",
        "stands before it",
    );
    refused(
        "[0, 1, 4]",
        "[0, 0, 4]",
        &bad("pairs"),
        "[0, 0, 4]",
        "goes to another GPU",
    );
    refused(
        "[0, 1, 4]",
        "[0, 1]",
        &bad("pairs"),
        "[0, 1]",
        "each is [GPU, GPU, links",
    );
    refused(
        "\"bridge\"",
        "\"brigde\"",
        &bad("kind"),
        "\"brigde\"",
        "did you mean `bridge`?",
    );
    refused(
        "= \"source\"",
        "= \"sourced\"",
        &bad("verification"),
        "\"sourced\"",
        "did you mean",
    );
    refused("name = ", "name : ", "this is not TOML", ":", "");
}

#[test]
fn a_model_of_ones_own_is_as_good() {
    let own = hardware::parse(OWN, "own.toml").unwrap();
    let topology = own.topology();
    assert_eq!(topology.path(0, 1), PathClass::NvLink(4));
    assert_eq!(topology.path(0, 2), PathClass::Sys);
    assert_eq!(topology.path(2, 3), PathClass::Phb);
    assert_eq!(topology.nics()[0].paths[0], PathClass::Pxb);
    assert_eq!(topology.bandwidth(2, 3), 24_000, "AMD: no 6/5");
    assert_eq!(topology.nics()[0].bandwidth, 12_500);
    assert_eq!(own.node_model().gpu_model, "a10");
}

/// The model in the documentation is one.
#[test]
fn the_documented_model_can_be_read() {
    let page = include_str!("../../../docs/HARDWARE.md");
    let from = page.find("name = \"our-box\"").unwrap();
    let text = page[from..].split("```").next().unwrap();
    let model = match hardware::parse(text, "HARDWARE.md") {
        Ok(model) => model,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(model.topology().nics()[0].paths[0], PathClass::Pxb);
    assert_eq!(model.topology().path(2, 3), PathClass::NvLink(12));
}

/// The tiny scenario on other hardware.
fn on(hardware: &str) -> String {
    let plain = "gpus_per_node = 4\n";
    assert!(TINY.contains(plain));
    TINY.replacen(plain, hardware, 1)
}

#[test]
fn pools_of_a_scenario_may_be_of_a_model() {
    let read = |text: &str| Scenario::from_toml(text, "s.toml").unwrap();
    let scenario = read(&on("hardware = \"hgx-h100\"\n"));
    let pool = &scenario.pools[0];
    assert_eq!((pool.gpus_per_node, &*pool.gpu_model), (8, "h100-sxm5-80"));
    let model = &scenario.supply().pools[0].model;
    assert_eq!(model.name, "hgx-h100");
    assert_eq!(
        model.topology,
        hardware::model("hgx-h100").unwrap().node_model().topology
    );
    // What is given is kept, and reading back what was written gives the same.
    let given = read(&on(
        "hardware = \"dgx1\"\ngpu_model = \"v100\"\ncores = 12\n",
    ));
    assert_eq!(
        (&*given.pools[0].gpu_model, given.pools[0].cores),
        ("v100", 12)
    );
    assert_eq!(read(&given.to_toml().unwrap()), given);

    let error = |text: &str| match Scenario::from_toml(text, "s.toml") {
        Err(ExperimentError::Scenario(error)) => format!("{}: {}", error.message, error.label),
        other => panic!("{other:?}"),
    };
    let said = error(&on("hardware = \"hgx-h10\"\n"));
    assert!(
        said.contains("`hardware`: did you mean `hgx-h100`?"),
        "{said}"
    );
    let said = error(&on("hardware = \"hgx-h100\"\ngpus_per_node = 4\n"));
    assert!(said.contains("`hgx-h100` has 8: leave it out"), "{said}");
    let said = error(&on("hardware = \"hgx-h100\"\nhardware_file = \"x.toml\"\n"));
    assert!(said.contains("a pool has one of hardware, "), "{said}");
    let said = error(&on(""));
    assert!(said.contains("`gpus_per_node` is missing"), "{said}");
}

#[test]
fn a_manifest_holds_the_hardware_that_a_file_described() {
    let scenario = on("hardware_file = \"own.toml\"\n");
    let place = Place::new().file("own.toml", OWN).file("s.toml", scenario);
    let done = place.run("compare s.toml --seeds 2 --out first");
    assert_eq!(done.code, Some(0), "{done:?}");
    // Without the file, and from the manifest alone.
    fs::remove_file(place.path("own.toml")).unwrap();
    let again = place.run("compare first/manifest.json --out second");
    assert_eq!(again.code, Some(0), "{again:?}");
    for file in ["manifest.json", "summary.csv", "jobs.csv"] {
        let read = |folder: &str| place.read(&format!("{folder}/{file}"));
        assert_eq!(read("first"), read("second"), "{file}");
    }
    assert!(place.read("first/manifest.json").contains("we built it"));

    let done = place.run("compare s.toml --out third");
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("own.toml"), "{}", done.err);
    let broken = OWN.replace("count = 4", "count = 0");
    let place = place.file("own.toml", broken);
    let done = place.run("compare s.toml --out third");
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("own.toml:7:9"), "{}", done.err);
    assert!(!place.entries().contains(&"third".to_owned()));
}
