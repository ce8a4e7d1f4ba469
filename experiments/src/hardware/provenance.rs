//! Where each group of figures is from, for people.

use windtunnel_core::topology::Cpu;

use super::matrix::gb;
use super::{HardwareModel, Provenance, Verification};
use crate::words::hanging;

/// What the words mean.
const WORDS: &str = "source: read in the cited place. secondary: read in a third-party page that quotes \
     it. general: domain knowledge, unchecked. derived: computed from other figures.";

/// Columns before the text.
const INDENT: usize = 23;

fn line(out: &mut String, what: &str, how: Verification, text: &str) {
    let first = format!("  {what:<9} {:<10}", how.word());
    hanging(out, &first, text, INDENT);
}

/// Figures, then where they are from.
fn with(figures: String, provenance: &Provenance) -> String {
    match provenance.source.as_str() {
        "" => figures,
        source => format!("{figures}; {source}"),
    }
}

impl HardwareModel {
    pub(super) fn put_provenance(&self, out: &mut String) {
        out.push_str("\nFigures and where they are from:\n\n");
        let title = with(self.title.clone(), &self.provenance);
        line(out, "layout", self.provenance.verification, &title);
        self.put_gpu(out);
        self.put_cpu(out);
        if let Some(nvlink) = &self.nvlink {
            let text = format!(
                "generation {}, {} GB/s per link and direction, effective",
                nvlink.generation,
                gb(nvlink.link)
            );
            let its = &nvlink.provenance;
            line(out, "NVLink", its.verification, &with(text, its));
        }
        let text = "effective bandwidth of PCIe and between sockets; NVIDIA/nccl src/graph/topo.h at \
             5067397";
        line(out, "PCIe", Verification::Source, text);
        for nics in &self.nics {
            let text = format!(
                "{} x {} at {} Gb/s, {} GB/s effective, {} GPUDirect",
                nics.count,
                nics.kind,
                nics.gbit_per_s,
                gb(nics.effective),
                if nics.gpudirect { "with" } else { "no" },
            );
            let its = &nics.provenance;
            line(out, "network", its.verification, &with(text, its));
        }
        if let Some(power) = &self.power {
            let text = format!("{} W idle, {} W at most", power.idle_watts, power.max_watts);
            let its = &power.provenance;
            line(out, "power", its.verification, &with(text, its));
        }
        out.push('\n');
        hanging(out, "  ", WORDS, 2);
    }

    fn put_gpu(&self, out: &mut String) {
        let gpu = &self.gpu;
        let its = &gpu.provenance;
        let mut text = format!(
            "{} x {} ({}): {} GiB",
            self.gpus, gpu.name, gpu.model, gpu.memory_gib
        );
        if gpu.memory_gb_per_s > 0.0 {
            text += &format!(" at {} GB/s", gpu.memory_gb_per_s);
        }
        if gpu.peak_tflops > 0.0 {
            text += &format!(", {} TFLOPS FP16 dense", gpu.peak_tflops);
        }
        if gpu.tdp_watts > 0 {
            text += &format!(", {} W", gpu.tdp_watts);
        }
        line(out, "GPU", its.verification, &with(text, its));
        if gpu.idle_watts > 0 {
            let text = format!("{} W when nobody holds a context", gpu.idle_watts);
            line(out, "GPU idle", gpu.idle, &text);
        }
        if gpu.mig_slices > 0 {
            let profiles: Vec<&str> = gpu.mig.iter().map(|mig| &*mig.profile).collect();
            let text = match profiles.is_empty() {
                true => format!("{} slices", gpu.mig_slices),
                false => format!("{} slices: {}", gpu.mig_slices, profiles.join(", ")),
            };
            line(out, "MIG", gpu.mig_verification, &text);
        }
    }

    fn put_cpu(&self, out: &mut String) {
        let cpu = &self.cpu;
        let known = Cpu::ALL.iter().find(|(_, family, _)| *family == cpu.family);
        let (family, link) = known.map_or(("", ""), |(word, _, link)| (*word, *link));
        let text = format!(
            "{} x {family} ({link}), {} NUMA nodes, {} cores, {} GiB",
            cpu.sockets, cpu.numa_nodes, cpu.cores, cpu.memory_gib
        );
        let its = &cpu.provenance;
        // The layout's source was named above.
        let is_layout = *its == self.provenance;
        let text = if is_layout { text } else { with(text, its) };
        line(out, "CPU", its.verification, &text);
    }
}
