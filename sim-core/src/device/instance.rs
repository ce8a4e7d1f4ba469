//! Instances (MIG) as jobs ask for them: by profile, and what profiles are called.
//!
//! Names follow NVIDIA's MIG user guide: `3g.40gb` is three compute slices with 40 GB. How much memory
//! goes with a profile depends on the GPU model, so `1g.10gb` is one memory slice of a card with 80 GB
//! and two of one with 40 GB; without the memory (`3g`, `1g.double`) a name means the same on all.

use super::mig::{MigProfile, MigTable};
use crate::job::GpuRequest;

/// A profile that is part of a GPU of seven compute and eight memory slices, as a job asks for it.
///
/// `7g` is not among them: it is the whole GPU, and asked for as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MigInstance {
    /// `1g`: one compute slice, one memory slice; at 0 to 6.
    OneG,
    /// `1g.double`: one compute slice with twice the memory (`1g.20gb` of 80 GB); at 0, 2, 4 and 6.
    OneGDouble,
    /// `2g`: two compute slices, two memory slices; at 0, 2 and 4.
    TwoG,
    /// `3g`: three compute slices, four memory slices; at 0 and 4.
    ThreeG,
    /// `4g`: four compute slices, four memory slices; at 0 only.
    FourG,
}

impl MigInstance {
    /// All of them, smallest first, in the order of [`MigTable::profiles`].
    pub const ALL: [Self; 5] = [
        Self::OneG,
        Self::OneGDouble,
        Self::TwoG,
        Self::ThreeG,
        Self::FourG,
    ];

    /// Its name on any model, without the memory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneG => "1g",
            Self::OneGDouble => "1g.double",
            Self::TwoG => "2g",
            Self::ThreeG => "3g",
            Self::FourG => "4g",
        }
    }

    /// The profile.
    ///
    /// ```
    /// use windtunnel_core::MigInstance;
    /// let four = MigInstance::FourG.profile();
    /// assert_eq!((four.compute, four.memory, four.starts), (4, 4, &[0][..]));
    /// ```
    #[must_use]
    pub const fn profile(self) -> &'static MigProfile {
        &MigTable::A100x80.profiles()[self as usize]
    }

    /// Thousandths of a GPU that it is by its memory slices, 125 each: what it asks for of the ledger,
    /// and of GPUs that are not shared by MIG.
    ///
    /// ```
    /// use windtunnel_core::MigInstance;
    /// let milli: Vec<u16> = MigInstance::ALL.map(MigInstance::milli).into();
    /// assert_eq!(milli, [125, 250, 250, 500, 500]);
    /// ```
    #[must_use]
    pub const fn milli(self) -> u16 {
        self.profile().memory as u16 * MigTable::A100x80.slice_milli()
    }

    /// Thousandths of a GPU that it is by its compute slices, rounded down: what a job that asks for it,
    /// and says nothing else, keeps busy of a GPU.
    ///
    /// ```
    /// use windtunnel_core::MigInstance;
    /// let milli: Vec<u16> = MigInstance::ALL.map(MigInstance::compute_milli).into();
    /// assert_eq!(milli, [142, 142, 285, 428, 571]);
    /// ```
    #[must_use]
    pub const fn compute_milli(self) -> u16 {
        self.profile().compute as u16 * 1_000 / MigTable::A100x80.compute_slices() as u16
    }
}

/// Why a name is no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigNameError {
    /// It is not of the form of one.
    Form,
    /// It asks for media extensions (`1g.10gb+me`), which are not modelled.
    MediaExtensions,
    /// None of the GPU models has it.
    Unknown,
}

/// What a name says of the memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Plain,
    Double,
    Gigabytes(u16),
}

impl MigTable {
    /// In which order a name is looked for if no GPU model is named: `1g.10gb` is what cards with 80 GB
    /// have.
    const BY_NAME: [Self; 6] = [
        Self::A100x80,
        Self::H100x80,
        Self::A100x40,
        Self::H200x141,
        Self::B200x180,
        Self::A30x24,
    ];

    /// GB of each profile, in the order of [`profiles`](Self::profiles).
    ///
    /// Source: as that of the profiles; B200 and A30 by the same pattern (general knowledge).
    #[must_use]
    pub const fn gigabytes(self) -> &'static [u16] {
        match self {
            Self::A100x40 => &[5, 10, 10, 20, 20, 40],
            Self::A100x80 | Self::H100x80 => &[10, 20, 20, 40, 40, 80],
            Self::H200x141 => &[18, 35, 35, 71, 71, 141],
            Self::B200x180 => &[23, 45, 45, 90, 90, 180],
            Self::A30x24 => &[6, 12, 24],
        }
    }

    /// The names of its profiles, smallest first: `1g.10gb`, `1g.20gb`, …
    ///
    /// ```
    /// use windtunnel_core::MigTable;
    /// let names: Vec<String> = MigTable::A30x24.names().collect();
    /// assert_eq!(names, ["1g.6gb", "2g.12gb", "4g.24gb"]);
    /// ```
    pub fn names(self) -> impl Iterator<Item = String> {
        let both = self.profiles().iter().zip(self.gigabytes());
        both.map(|(profile, gb)| format!("{}g.{gb}gb", profile.compute))
    }

    /// What a job asks for that names a profile, with its memory or without: `4g.40gb`, `4g`,
    /// `1g.double`. The largest is a whole GPU; those of an A30, all told apart by their size, are
    /// shares of one.
    ///
    /// # Errors
    /// It is no name of a profile, or of none that this GPU has.
    ///
    /// ```
    /// use windtunnel_core::{GpuRequest, MigInstance, MigNameError, MigTable};
    /// let double = Ok(GpuRequest::Instance(MigInstance::OneGDouble));
    /// assert_eq!(MigTable::A100x40.request("1g.10gb"), double);
    /// assert_eq!(MigTable::A100x80.request("1g.20gb"), double);
    /// assert_eq!(MigTable::A100x80.request("7g.80gb"), Ok(GpuRequest::Whole(1)));
    /// assert_eq!(MigTable::A30x24.request("2g"), Ok(GpuRequest::Milli(500)));
    /// assert_eq!(MigTable::H200x141.request("4g.40gb"), Err(MigNameError::Unknown));
    /// assert_eq!(MigTable::H200x141.request("0.5"), Err(MigNameError::Form));
    /// ```
    pub fn request(self, name: &str) -> Result<GpuRequest, MigNameError> {
        let (compute, memory) = read(name)?;
        let profiles = self.profiles();
        let of_size = |slices: u8| {
            profiles
                .iter()
                .position(|p| p.compute == compute && p.memory == slices)
        };
        let plain = || profiles.iter().position(|p| p.compute == compute);
        let place = match memory {
            Memory::Plain => plain(),
            Memory::Double => plain().and_then(|at| of_size(2 * profiles[at].memory)),
            Memory::Gigabytes(gb) => {
                let mut both = profiles.iter().zip(self.gigabytes());
                both.position(|(profile, own)| profile.compute == compute && *own == gb)
            }
        };
        let place = place.ok_or(MigNameError::Unknown)?;
        if profiles[place].memory == self.slices() {
            return Ok(GpuRequest::Whole(1));
        }
        Ok(match self {
            Self::A30x24 => {
                GpuRequest::Milli(u16::from(profiles[place].memory) * self.slice_milli())
            }
            _ => GpuRequest::Instance(MigInstance::ALL[place]),
        })
    }

    /// The same by a name alone, where no GPU model is named: the first of the A100 and H100 with 80 GB,
    /// the A100 with 40 GB, H200, B200 and A30 that has such a profile says what it is.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    ///
    /// ```
    /// use windtunnel_core::{GpuRequest, MigInstance, MigTable};
    /// let asks = |instance| Ok(GpuRequest::Instance(instance));
    /// assert_eq!(MigTable::by_name("1g.10gb"), asks(MigInstance::OneG), "of 80 GB");
    /// assert_eq!(MigTable::by_name("3g.71gb"), asks(MigInstance::ThreeG), "of an H200");
    /// assert!(MigTable::by_name("5g.40gb").is_err());
    /// ```
    pub fn by_name(name: &str) -> Result<GpuRequest, MigNameError> {
        read(name)?;
        let mut found = Self::BY_NAME.iter().map(|table| table.request(name));
        found
            .find(Result::is_ok)
            .unwrap_or(Err(MigNameError::Unknown))
    }
}

/// Compute slices and memory of a name.
fn read(name: &str) -> Result<(u8, Memory), MigNameError> {
    let (compute, rest) = name.split_once('g').ok_or(MigNameError::Form)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(compute) {
        return Err(MigNameError::Form);
    }
    if rest.ends_with("+me") {
        return Err(MigNameError::MediaExtensions);
    }
    let memory = match rest {
        "" => Memory::Plain,
        ".double" => Memory::Double,
        _ => {
            let gb = rest.strip_prefix('.').and_then(|gb| gb.strip_suffix("gb"));
            let gb = gb.filter(|gb| is_number(gb)).ok_or(MigNameError::Form)?;
            Memory::Gigabytes(gb.parse().map_err(|_| MigNameError::Unknown)?)
        }
    };
    let compute = compute.parse().map_err(|_| MigNameError::Unknown)?;
    Ok((compute, memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_asked_for_by_its_name() {
        for (table, _) in MigTable::ALL {
            for (name, profile) in table.names().zip(table.profiles()) {
                let request = table.request(&name).unwrap();
                assert_eq!(table.profile(request), profile, "{table:?} {name}");
                let by_name = MigTable::by_name(&name).unwrap();
                let is_same = by_name == request;
                // The only name that means two things.
                let is_double = (table, &*name) == (MigTable::A100x40, "1g.10gb");
                assert_eq!(is_same, !is_double, "{table:?} {name}");
            }
        }
    }

    #[test]
    fn names_without_memory_mean_the_same_on_every_model_of_eight_slices() {
        for instance in MigInstance::ALL {
            for (table, _) in MigTable::ALL {
                let found = table.request(instance.name());
                if table == MigTable::A30x24 {
                    assert_ne!(found, Ok(GpuRequest::Instance(instance)));
                } else {
                    assert_eq!(found, Ok(GpuRequest::Instance(instance)));
                    assert_eq!(table.profile(found.unwrap()), instance.profile());
                }
            }
            assert_eq!(
                MigTable::by_name(instance.name()),
                Ok(GpuRequest::Instance(instance))
            );
        }
        assert_eq!(MigTable::by_name("7g"), Ok(GpuRequest::Whole(1)));
    }

    #[test]
    fn what_is_no_name_is_told_from_what_no_model_has() {
        use MigNameError::{Form, MediaExtensions, Unknown};
        let cases = [
            ("", Form),
            ("g", Form),
            ("3", Form),
            ("+3g", Form),
            ("3g.", Form),
            ("3g.40", Form),
            ("3g.-1gb", Form),
            ("3g.gb", Form),
            ("3g,40gb", Form),
            ("1g.10gb+me", MediaExtensions),
            ("5g", Unknown),
            ("3g.double", Unknown),
            ("7g.double", Unknown),
            ("3g.41gb", Unknown),
            ("300g", Unknown),
            ("3g.99999gb", Unknown),
        ];
        for (name, error) in cases {
            assert_eq!(MigTable::by_name(name), Err(error), "`{name}`");
            assert_eq!(MigTable::A100x80.request(name), Err(error), "`{name}`");
        }
    }
}
