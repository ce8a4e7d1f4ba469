//! Names of the controllers that jobs may belong to.

use windtunnel_core::ControllerId;

use crate::issue::Problem;
use crate::table::Cell;

/// Which controller a `kind` names: its place in the platform's list.
///
/// ```
/// use windtunnel_core::ControllerId;
/// use windtunnel_traces::Kinds;
/// let kinds = Kinds::default();
/// assert_eq!(kinds.names(), ["batch", "array", "service"]);
/// assert_eq!(kinds.id("service"), Some(ControllerId(2)));
/// assert_eq!(Kinds::new(["jobset"]).id("batch"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(Vec<String>);

impl Default for Kinds {
    /// `batch`, `array`, `service`.
    fn default() -> Self {
        Self::new(["batch", "array", "service"])
    }
}

impl Kinds {
    /// Kinds by the order of the platform's controllers; those after the 256th are unknown.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).take(256).collect())
    }

    /// All names, indexed by [`ControllerId`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The controller of a name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ControllerId> {
        let place = self.0.iter().position(|known| known == name)?;
        u8::try_from(place).ok().map(ControllerId)
    }

    /// The name of a controller.
    #[must_use]
    pub fn name(&self, id: ControllerId) -> Option<&str> {
        self.0.get(id.index()).map(String::as_str)
    }

    /// The controller of a cell; the first if it is empty.
    pub(crate) fn of(&self, cell: Cell<'_>) -> Result<ControllerId, Box<Problem>> {
        if cell.is_empty() {
            return Ok(ControllerId(0));
        }
        if let Some(id) = self.id(cell.text()?) {
            return Ok(id);
        }
        let known: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let place = cell.choice(&known)?;
        Ok(ControllerId(u8::try_from(place).unwrap_or(u8::MAX)))
    }
}
