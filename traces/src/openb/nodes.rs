//! The openb list of nodes, as pools in the list's order.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use csv::ByteRecord;
use windtunnel_core::{Bytes, MilliCores, NodeModel, PoolId, PoolSpec, Supply};

use super::{CPU_MILLI, GPU_COUNT, MEMORY_MIB};
use crate::error::{TraceError, TraceErrorKind};
use crate::issue::{Action, Notes, Problem};
use crate::open::{Decoded, open};
use crate::table::{Columns, Header, Row, Unknown};

const NAMES: [&str; 5] = ["sn", "cpu_milli", "memory_mib", "gpu", "model"];
const SN: usize = 0;
const CPU: usize = 1;
const MEMORY: usize = 2;
const GPUS: usize = 3;
const MODEL: usize = 4;

/// GPU model of nodes that have no GPUs.
const NO_MODEL: &str = "none";

/// One node of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNode {
    /// Its name.
    pub name: String,
    /// What it has.
    pub model: NodeModel,
}

/// The nodes of a cluster, one by one.
///
/// Columns `sn`, `cpu_milli`, `memory_mib`, `gpu` (number) and `model` (empty without GPUs), in any
/// order. A list is all or nothing: a row that is no node is an error, since a cluster with a node
/// missing is another cluster.
///
/// ```
/// use windtunnel_core::PoolId;
/// use windtunnel_traces::openb::NodeList;
/// let text = "\
/// sn,cpu_milli,memory_mib,gpu,model
/// node-0,64000,262144,2,P100
/// node-1,32000,262144,0,
/// node-2,64000,262144,2,P100
/// ";
/// let list = NodeList::new(text.as_bytes(), "nodes.csv")?;
/// let supply = list.supply();
/// assert_eq!(supply.gpu_count(), 4);
/// let names: Vec<&str> = supply.pools.iter().map(|pool| &*pool.name).collect();
/// assert_eq!(names, ["2x-P100-64c-256g", "cpu-32c-256g"]);
/// assert_eq!(supply.order, [PoolId(0), PoolId(1), PoolId(0)], "nodes keep the order of the list");
/// # Ok::<(), windtunnel_traces::TraceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeList {
    /// The nodes, in the order of the file.
    pub nodes: Vec<ListedNode>,
}

impl NodeList {
    /// Opens a file, plain or compressed, and reads all of it.
    ///
    /// # Errors
    /// As [`open`](crate::open()) and [`NodeList::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let reader: Decoded<File> = open(path)?;
        Self::new(reader, &path.display().to_string())
    }

    /// Reads a list from `reader`, which is `file` in messages.
    ///
    /// # Errors
    /// It can't be read, a column is missing or unknown, there is no node, or a row is no node.
    pub fn new(reader: impl Read, file: &str) -> Result<Self, TraceError> {
        let file: Arc<str> = file.into();
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(reader);
        let mut record = ByteRecord::new();
        let mut line = 0;
        let mut next = |record: &mut ByteRecord| -> Result<Option<u64>, TraceError> {
            let more = csv.read_byte_record(record);
            let more = more.map_err(|error| TraceError::read(&file, error, line))?;
            line = record.position().map_or(line, csv::Position::line);
            Ok(more.then_some(line))
        };
        let empty = |what: &str| TraceError::new(TraceErrorKind::Empty, &file, what);
        let Some(line) = next(&mut record)? else {
            return Err(empty("the file is empty").with_hint("a list has a header and its nodes"));
        };
        let header = Header {
            record: &record,
            comments: "",
            file: &file,
            line,
        };
        let columns = Columns::find(&header, &NAMES, NAMES.len(), Unknown::Refuse)?;
        let mut nodes = Vec::new();
        while let Some(line) = next(&mut record)? {
            let node = node(&columns, &record).map_err(|problem| {
                let issue = problem.on(line, Action::Dropped);
                TraceError::row(TraceErrorKind::Row, &file, &issue)
            })?;
            nodes.push(node);
        }
        if nodes.is_empty() {
            return Err(
                empty("the list has no nodes").with_hint("a list has a header and its nodes")
            );
        }
        Ok(Self { nodes })
    }

    /// The nodes as owned pools, free of charge: equal nodes are one pool, pools come in order of
    /// first mention, and nodes keep the order of the list.
    #[must_use]
    pub fn supply(&self) -> Supply {
        let mut models: Vec<(&NodeModel, u32)> = Vec::new();
        let mut order = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let place = models.iter().position(|(model, _)| **model == node.model);
            let place = place.unwrap_or(models.len());
            if place == models.len() {
                models.push((&node.model, 0));
            }
            models[place].1 += 1;
            // A supply of too many pools is refused where it is checked.
            order.push(PoolId(u8::try_from(place).unwrap_or(u8::MAX)));
        }
        let pools = models
            .into_iter()
            .map(|(model, nodes)| PoolSpec::owned(&model.name, model.clone(), nodes));
        Supply::new(pools.collect()).in_order(order)
    }
}

fn node(columns: &Columns, record: &ByteRecord) -> Result<ListedNode, Box<Problem>> {
    if record.len() != NAMES.len() {
        return Err(Box::new(Problem {
            field: None,
            value: String::new(),
            reason: format!("the row has {} cells, not {}", record.len(), NAMES.len()).into(),
            hint: "was the file cut short, or a comma left unquoted?".into(),
        }));
    }
    let row = Row::new(record);
    let cell = |column: usize| columns.cell(column, &row);
    let mut notes = Notes::default();
    let gpus = cell(GPUS).number(&GPU_COUNT, &mut notes)?;
    let Some(gpus) = u8::try_from(gpus).ok().filter(|&gpus| gpus <= 16) else {
        return Err(cell(GPUS).problem("is too large", "a node has at most 16 GPUs"));
    };
    let model = cell(MODEL).text()?;
    if (gpus == 0) != model.is_empty() {
        let hint = "a node has GPUs and a model of them, or neither";
        return Err(cell(MODEL).problem(format!("does not go with {gpus} GPUs"), hint));
    }
    let cpu = cell(CPU).number(&CPU_MILLI, &mut notes)?;
    let memory = cell(MEMORY).number(&MEMORY_MIB, &mut notes)?;
    let what = if gpus == 0 {
        "cpu".to_owned()
    } else {
        format!("{gpus}x-{model}")
    };
    Ok(ListedNode {
        name: cell(SN).text()?.to_owned(),
        model: NodeModel {
            name: format!("{what}-{}c-{}g", thousandths(cpu), gibibytes(memory)),
            gpu_model: if gpus == 0 { NO_MODEL } else { model }.to_owned(),
            gpus,
            cpu: MilliCores(u32::try_from(cpu).unwrap_or(u32::MAX)),
            memory: Bytes(memory << 20),
            gpu_memory: Bytes(0),
            topology: None,
        },
    })
}

/// Whole cores, or as they are: `64`, `64.5`.
fn thousandths(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole GiB, or MiB behind a sign: `256`, `256+1m`.
fn gibibytes(mib: u64) -> String {
    match mib % 1_024 {
        0 => (mib / 1_024).to_string(),
        rest => format!("{}+{rest}m", mib / 1_024),
    }
}
