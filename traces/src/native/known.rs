//! Names of the behaviours that jobs may have.

use std::sync::Arc;

use windtunnel_core::Behaviour;

use crate::issue::Problem;
use crate::table::Cell;

/// The behaviours that a table may name: none, unless it is told.
///
/// Jobs that name one share it. A name costs O(log behaviours).
///
/// ```
/// use std::sync::Arc;
/// use windtunnel_core::{Behaviour, Names};
/// use windtunnel_traces::{KnownBehaviours, NativeReader};
/// let known = KnownBehaviours::new(["bert", "resnet"].map(|name| Arc::new(Behaviour::new(name))));
/// let text = "# windtunnel-jobs v1\njob_id,submit_s,duration_s,gpus,behaviour\na,0,60,8,resnet\nb,0,60,1,\n";
/// let reader = NativeReader::new(text.as_bytes(), "jobs.csv")?.with_behaviours(known.clone());
/// let jobs = reader.read_all(&mut Names::default())?.jobs;
/// assert!(Arc::ptr_eq(jobs[0].profile.behaviour.as_ref().unwrap(), known.named("resnet").unwrap()));
/// assert_eq!(jobs[1].profile.behaviour, None);
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownBehaviours(Arc<[Arc<Behaviour>]>);

impl KnownBehaviours {
    /// Those of a list; of two with one name the first is known.
    pub fn new(behaviours: impl IntoIterator<Item = Arc<Behaviour>>) -> Self {
        let mut sorted: Vec<_> = behaviours.into_iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.dedup_by(|later, first| later.name == first.name);
        Self(sorted.into())
    }

    /// The behaviour of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Behaviour>> {
        let place = self
            .0
            .binary_search_by(|known| known.name.as_str().cmp(name));
        place.ok().map(|place| &self.0[place])
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> &[Arc<Behaviour>] {
        &self.0
    }

    /// The behaviour of a cell; none if it is empty.
    pub(crate) fn of(&self, cell: Cell<'_>) -> Result<Option<Arc<Behaviour>>, Box<Problem>> {
        if cell.is_empty() {
            return Ok(None);
        }
        let name = cell.text()?;
        if let Some(known) = self.named(name) {
            return Ok(Some(Arc::clone(known)));
        }
        if self.0.is_empty() {
            let hint = "no behaviours were given to this reader: leave the column empty";
            return Err(cell.problem("is a behaviour that is not known", hint));
        }
        let known: Vec<&str> = self.0.iter().map(|known| known.name.as_str()).collect();
        cell.choice(&known)
            .map(|place| Some(Arc::clone(&self.0[place])))
    }
}
