//! Completes a scenario: every default spelled out, every rule held.

use std::path::Path;

use windtunnel_core::{Horizon, SimDuration};
use windtunnel_policies::registry;

use super::{IN_CODE, PlatformSpec, Pool, Scenario, Staff, Workload};
use crate::error::ExperimentError;

/// How long jobs are submitted to a drawn workload that drains, unless it says otherwise.
const WINDOW: SimDuration = SimDuration::from_days(30);

impl Scenario {
    /// Spells out every default that depends on other values (GPUs and window of a drawn workload,
    /// staff of a platform, parameters of a policy), and checks what reading from a file would
    /// have checked. Doing it twice changes nothing.
    ///
    /// # Errors
    /// A policy that does not exist, a list that is empty, a name that is there twice, a list of
    /// nodes that can't be read.
    pub fn complete(mut self) -> Result<Self, ExperimentError> {
        let nothing = |what: &str| ExperimentError::setting(what, "at least one is needed");
        if self.run.seeds.is_empty() {
            return Err(nothing("seeds"));
        }
        match &mut self.cluster {
            Some(_) if !self.pools.is_empty() => {
                let hint = "give either pools or a list of nodes";
                return Err(ExperimentError::setting("cluster", hint));
            }
            Some(cluster) => cluster.read()?,
            None if self.pools.is_empty() => return Err(nothing("pools")),
            None => {}
        }
        self.pools.iter_mut().try_for_each(Pool::complete)?;
        if self.platforms.is_empty() {
            return Err(nothing("platforms"));
        }
        if let Some(behaviours) = &mut self.behaviours {
            behaviours.read()?;
        }
        let staff = self.staff.clone();
        for place in 0..self.platforms.len() {
            let (before, rest) = self.platforms.split_at_mut(place);
            let platform = &mut rest[0];
            if before.iter().any(|other| other.name == platform.name) {
                let message = format!("platform `{}`", platform.name);
                return Err(ExperimentError::setting(
                    message,
                    "another one has this name already",
                ));
            }
            platform.complete(&staff)?;
        }
        self.complete_workload();
        let supply = self.supply();
        let known: Vec<&str> = supply.pools.iter().map(|pool| &*pool.name).collect();
        if let Some((name, hint)) = self.faults.unknown_pool(&known) {
            let hint = format!("{hint}the pools are: {}", known.join(", "));
            let what = format!("faults.maintenance: there is no pool `{name}`");
            return Err(ExperimentError::setting(what, hint));
        }
        supply.check().map_err(windtunnel_core::BuildError::from)?;
        Ok(self)
    }

    fn complete_workload(&mut self) {
        let gpus = u32::try_from(self.gpu_count()).unwrap_or(u32::MAX);
        let pools = self.pools.iter().map(|pool| pool.gpus_per_node);
        let listed = self.cluster.iter().flat_map(super::Cluster::gpus);
        let per_node = pools.chain(listed).find(|&gpus| gpus > 0);
        let window = match self.run.horizon {
            Horizon::After(length) => length,
            Horizon::Drain => WINDOW,
        };
        match &mut self.workload {
            Workload::Campus(drawn) | Workload::Synthetic(drawn) => {
                if drawn.gpus == 0 {
                    drawn.gpus = gpus;
                }
                if drawn.gpus_per_node == 0 {
                    drawn.gpus_per_node = per_node.unwrap_or(1).into();
                }
                if drawn.window.is_zero() {
                    drawn.window = window;
                }
            }
            Workload::Preset(drawn) => {
                if drawn.gpus == 0 {
                    drawn.gpus = gpus;
                }
                if drawn.window.is_zero() {
                    drawn.window = window;
                }
            }
            Workload::Poisson(stream) => {
                if stream.gpus == 0 {
                    stream.gpus = gpus;
                }
            }
            Workload::Native(_) | Workload::Helios(_) | Workload::Philly(_) | Workload::Swf(_) => {}
            Workload::Openb(_) | Workload::OpenbFill(_) => {}
        }
    }

    /// Makes paths relative to `folder` absolute, so that the scenario can be run from anywhere.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        let path = match &mut self.workload {
            Workload::Native(table)
            | Workload::Helios(table)
            | Workload::Openb(table)
            | Workload::Philly(table) => Some(&mut table.path),
            Workload::OpenbFill(fill) => Some(&mut fill.path),
            Workload::Swf(log) => Some(&mut log.path),
            _ => None,
        };
        if let Some(path) = path {
            *path = folder.join(&*path);
        }
        for pool in &mut self.pools {
            pool.resolve(folder);
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.path = folder.join(&cluster.path);
        }
        if let Some(behaviours) = &mut self.behaviours {
            behaviours.resolve(folder);
        }
    }

    /// The place of a platform among [`platforms`](Self::platforms).
    ///
    /// # Errors
    /// No platform has the name.
    pub fn platform_named(&self, name: &str) -> Result<usize, ExperimentError> {
        let found = self
            .platforms
            .iter()
            .position(|platform| platform.name == name);
        found.ok_or_else(|| {
            let known = || self.platforms.iter().map(|platform| &*platform.name);
            ExperimentError::UnknownPlatform {
                name: name.to_owned(),
                scenario: self.run.name.clone(),
                hint: super::did_you_mean(name, known()),
                known: known().collect::<Vec<_>>().join(", "),
            }
        })
    }
}

impl PlatformSpec {
    fn complete(&mut self, staff: &Staff) -> Result<(), ExperimentError> {
        if self.policy != IN_CODE {
            registry::policy(&self.policy).map_err(|cause| ExperimentError::Policy {
                platform: self.name.clone(),
                cause,
            })?;
            self.policy = spelled_out(&self.policy);
        }
        self.staff_usd_per_hour.get_or_insert(staff.usd_per_hour);
        self.staff_usd_per_gpu_hour
            .get_or_insert(staff.usd_per_gpu_hour);
        Ok(())
    }
}

/// A policy's text with every parameter, in the registry's order: `fifo{never=reject}`.
fn spelled_out(text: &str) -> String {
    let (name, rest) = text.split_once('{').unwrap_or((text, ""));
    let name = name.trim();
    let given: Vec<(&str, &str)> = rest
        .trim_end()
        .trim_end_matches('}')
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(param, value)| (param.trim(), value.trim()))
        .collect();
    let Some(info) = registry::known().iter().find(|info| info.name == name) else {
        return text.to_owned();
    };
    let value = |param: &registry::ParamInfo| {
        let found = given.iter().find(|(name, _)| *name == param.name);
        let value = found.map_or(param.default, |(_, value)| value);
        format!("{}={value}", param.name)
    };
    let params: Vec<String> = info.params.iter().map(value).collect();
    if params.is_empty() {
        return name.to_owned();
    }
    format!("{name}{{{}}}", params.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_spelled_out_once_and_for_all() {
        assert_eq!(spelled_out("fifo"), "fifo{never=reject}");
        assert_eq!(spelled_out(" fifo { never = wait } "), "fifo{never=wait}");
        for info in registry::known() {
            let full = spelled_out(info.name);
            assert!(registry::policy(&full).is_ok(), "{full}");
            assert_eq!(spelled_out(&full), full);
        }
    }
}
