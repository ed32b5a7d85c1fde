//! Training of the cascade's nets: three tasks, each with its own hard-sample mining (spec sections 4.3 and
//! 4.4).

use super::batch::{Batch, Objective};
use super::optimizer::Optimizer;
use super::recipe::{Beat, Program, RING, Recipe, ReportSlots};
use crate::engine::Session;
use crate::kernels::nn::Axpy;
use crate::kernels::train::{
    CrossEntropy, CrossEntropyBackward, Figure, LossTask, Mine, MiningRule, PlaceItems, SquaredError, SquaredErrorBackward, Squares,
    Status, StepInputs, Summary, TARGETS, TakeItems, Unpack,
};
use crate::nets::{Learned, Net, NetError, NetGraph, Parameters, Pass};
use crate::record::{DeviceFacts, Part, Recording, Slot};

/// Training settings of one net of the cascade.
#[derive(Debug, Clone)]
pub struct NetRecipe {
    /// The net.
    pub net: Net,
    /// Number of samples per step.
    pub batch: u32,
    /// Number of samples per pass, a divisor of the batch. Smaller values need less memory but compute the
    /// forward pass twice; mining still covers the whole batch.
    pub micro_batch: u32,
    /// Objective to minimise.
    pub objective: Objective,
    /// Optimizer that updates the weights.
    pub optimizer: Optimizer,
}

/// Input slots that the host writes before each micro-batch.
#[derive(Debug, Clone, Copy)]
pub struct CropInputs {
    rgba: Slot,
    kinds: Slot,
    faces: Slot,
    targets: Slot,
    schedule: Slot,
}

impl NetRecipe {
    /// Creates a recipe for `net` with undivided batches of `batch` samples.
    pub fn new(net: Net, batch: u32, objective: Objective, optimizer: Optimizer) -> Self {
        Self { net, batch, micro_batch: batch, objective, optimizer }
    }

    /// Returns the recipe with micro-batches of `micro_batch` samples.
    ///
    /// # Panics
    ///
    /// If `micro_batch` does not divide the batch, which is a programming error of the caller.
    #[must_use]
    pub fn in_micro_batches(self, micro_batch: u32) -> Self {
        assert!(micro_batch > 0 && self.batch.is_multiple_of(micro_batch), "{micro_batch} does not divide {}", self.batch);
        Self { micro_batch, ..self }
    }

    /// Returns the recipe with the largest micro-batches whose buffers `device` can bind; undivided batches
    /// if possible.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a sample is too large to index.
    pub fn fitted(self, device: DeviceFacts) -> Result<Self, NetError> {
        let fits = |recording: &Recording| {
            let bound = recording.steps().iter().flat_map(|step| &step.slots);
            bound.map(|slot| recording.slots()[slot.index()].len as u64 * 4).all(|bytes| bytes <= device.binding_bytes)
        };
        let sizes = (1..=self.batch).filter(|parts| self.batch.is_multiple_of(*parts)).map(|parts| self.batch / parts);
        for micro_batch in sizes {
            let recipe = self.clone().in_micro_batches(micro_batch);
            match recipe.program(device) {
                Ok((program, _)) if micro_batch == 1 || fits(&program.recording) => return Ok(recipe),
                Err(error) if micro_batch == 1 => return Err(error),
                _ => {}
            }
        }
        Ok(self)
    }

    /// Returns the tasks, each with the index of its first output.
    fn heads(&self) -> Vec<(LossTask, u32)> {
        let (mut first, mut found) = (0, Vec::new());
        for &(name, out) in self.net.heads {
            found.extend(LossTask::ALL.into_iter().find(|task| task.name() == name).map(|task| (task, first)));
            first += out;
        }
        found
    }
}

impl Recipe for NetRecipe {
    type Batch = Batch;
    type Inputs = CropInputs;

    fn name(&self) -> &'static str {
        self.net.name
    }

    fn program(&self, device: DeviceFacts) -> Result<(Program, CropInputs), NetError> {
        let mut recording = Recording::new();
        let (n, plane) = (self.micro_batch, self.net.side * self.net.side);
        let mut input = |label: &str, len: u32| recording.input(label, len as usize);
        let inputs = CropInputs {
            rgba: input("rgba", n * plane),
            kinds: input("kinds", n),
            faces: input("faces", n),
            targets: input("targets", n * TARGETS as u32),
            schedule: input("schedule", StepInputs::WORDS as u32),
        };
        let graph = self.net.graph(self.micro_batch, self.objective.dropout)?;
        let parameters = Parameters::states(&mut recording, [&graph.graph], |_| true);
        let mut writer = ProgramWriter { recipe: self, recording, inputs, graph: &graph, parameters: &parameters, device };
        let (step, report, learned) = writer.training();
        let (validation, validation_report) = writer.validation();
        let program = Program {
            recording: writer.recording,
            micro_batches: self.batch / self.micro_batch,
            samples: self.micro_batch,
            step,
            report,
            validation,
            validation_report,
            schedule: inputs.schedule,
            learned,
            optimizer: self.optimizer,
        };
        Ok((program, inputs))
    }

    fn write(&self, inputs: &CropInputs, batch: &Batch, micro_batch: u32, session: &mut Session) {
        let (n, first) = (self.micro_batch as usize, (micro_batch * self.micro_batch) as usize);
        let pixels = (self.net.side * self.net.side) as usize;
        session.write(inputs.rgba, &batch.rgba[4 * first * pixels..][..4 * n * pixels]);
        session.write(inputs.kinds, bytemuck::cast_slice(&batch.kinds[first..][..n]));
        session.write(inputs.faces, bytemuck::cast_slice(&batch.faces[first..][..n]));
        session.write(inputs.targets, bytemuck::cast_slice(&batch.targets[first * TARGETS..][..n * TARGETS]));
    }
}

/// Rows over a whole batch, which the summary and mining read.
#[derive(Clone, Copy)]
struct Rows {
    /// `[tasks + 1, batch]`: losses, then whether each sample is classified correctly.
    figures: Slot,
    /// `[batch]`: kinds of the samples.
    kinds: Slot,
    /// `[tasks + 1, batch]`: scales of the losses' gradients, then whether each sample has the class task.
    scales: Slot,
}

/// Records the program of a recipe.
struct ProgramWriter<'a> {
    recipe: &'a NetRecipe,
    recording: Recording,
    inputs: CropInputs,
    graph: &'a NetGraph,
    parameters: &'a Parameters,
    device: DeviceFacts,
}

impl<'a> ProgramWriter<'a> {
    fn tasks(&self) -> u32 {
        self.recipe.heads().len() as u32
    }

    fn is_whole(&self) -> bool {
        self.recipe.batch == self.recipe.micro_batch
    }

    fn slot(&mut self, label: &str, len: u32) -> Slot {
        self.recording.slot(label, len as usize)
    }

    fn rows(&mut self, of: &str) -> Rows {
        let (rows, batch) = (self.tasks() + 1, self.recipe.batch);
        let [figures, scales] = ["figures", "scales"].map(|label| self.slot(&format!("{label} of {of}"), rows * batch));
        let kinds = if self.is_whole() { self.inputs.kinds } else { self.slot(&format!("kinds of {of}"), batch) };
        Rows { figures, kinds, scales }
    }

    fn report(&mut self, of: &str) -> ReportSlots {
        let heads = self.recipe.heads();
        let meters: Vec<String> = heads.iter().map(|(task, _)| task.name().to_owned()).chain(["accuracy".to_owned()]).collect();
        let ring = self.slot(&format!("ring of {of}"), RING * Summary::words(meters.len()) as u32);
        ReportSlots { ring, status: self.slot(&format!("status of {of}"), Status::WORDS as u32), losses: heads.len(), meters }
    }

    /// Records the net over the pixels of a micro-batch.
    fn forward(&mut self, dropout: bool) -> Pass<'a> {
        let NetGraph { graph, input, output, .. } = self.graph;
        let plane = self.recipe.net.side * self.recipe.net.side;
        let x = self.recording.scratch("picture", (3 * self.recipe.micro_batch * plane) as usize);
        self.recording.push(Unpack::new(self.recipe.micro_batch, plane), &[self.inputs.rgba, x]);
        let mut pass = Pass::new(graph, self.parameters, self.device, dropout.then_some(self.inputs.schedule));
        pass.bind(*input, x);
        pass.forward(&mut self.recording, &[*output]);
        pass
    }

    /// Records the figures of a micro-batch, which are written to those of the whole batch.
    fn figures(&mut self, pass: &Pass<'_>, rows: Rows) {
        let (n, outputs, tasks, y) = (self.recipe.micro_batch, self.recipe.net.outputs(), self.tasks(), pass.value(self.graph.output));
        let own = if self.is_whole() { rows.figures } else { self.slot("figures of a micro-batch", (tasks + 1) * n) };
        let CropInputs { kinds, faces, targets, schedule, .. } = self.inputs;
        for (task, first) in self.recipe.heads() {
            match task {
                LossTask::Class => self.recording.push(CrossEntropy::new(n, outputs, tasks), &[y, kinds, faces, own]),
                task => self.recording.push(SquaredError::new(task, n, outputs, first), &[y, kinds, targets, own]),
            }
        }
        if !self.is_whole() {
            let batch = self.recipe.batch;
            self.recording.push(PlaceItems::new(tasks + 1, n, batch), &[own, schedule, rows.figures]);
            self.recording.push(PlaceItems::new(1, n, batch), &[kinds, schedule, rows.kinds]);
        }
    }

    /// Records the selection of the samples of the whole batch that count.
    fn mine(&mut self, rows: Rows, keep: [f64; 3]) {
        let objective = &self.recipe.objective;
        let rules: Vec<MiningRule> = keep.into_iter().zip(objective.weights).map(|(keep, weight)| MiningRule::new(keep, weight)).collect();
        let tasks = self.tasks();
        let rules = self.recording.table("mining rules", MiningRule::words(&rules[..tasks as usize]));
        self.recording.push(Mine::new(self.recipe.batch, tasks), &[rows.figures, rows.kinds, rules, rows.scales]);
    }

    /// Records the gradients of the losses and the backward pass.
    fn backward(&mut self, pass: &mut Pass<'_>, rows: Rows) {
        let (n, outputs, tasks, output) = (self.recipe.micro_batch, self.recipe.net.outputs(), self.tasks(), self.graph.output);
        let y = pass.value(output);
        let scales = if self.is_whole() {
            rows.scales
        } else {
            let own = self.recording.scratch("scales of a micro-batch", (tasks * n) as usize);
            self.recording.push(TakeItems::new(tasks, n, self.recipe.batch), &[rows.scales, self.inputs.schedule, own]);
            own
        };
        let dy = pass.gradient(&mut self.recording, output);
        for (task, first) in self.recipe.heads() {
            match task {
                LossTask::Class => self.recording.push(CrossEntropyBackward::new(n, outputs), &[y, self.inputs.faces, scales, dy]),
                task => {
                    let kernel = SquaredErrorBackward::new(task, n, outputs, first);
                    self.recording.push(kernel, &[y, self.inputs.targets, scales, dy]);
                }
            }
        }
        let learned = pass.learned();
        pass.backward(&mut self.recording, &[output], &learned);
    }

    /// Records the summary of the step, with the norms of `gradients`, an arena; `None` in validation.
    fn summary(&mut self, rows: Rows, report: &ReportSlots, gradients: Option<Slot>) {
        let (norms, count) = match gradients {
            Some(gradients) => self.norms(gradients),
            None => (self.recording.constant("no norms", vec![0.0; Squares::SHARES]), 1),
        };
        let tasks = self.tasks();
        let figures: Vec<Figure> = (0..=tasks).map(|row| Figure { figure: row, counted: row }).collect();
        let table = self.recording.table("figures of an entry", bytemuck::cast_slice(&figures).to_vec());
        let kernel = Summary::new(self.recipe.batch, figures.len() as u32, count, RING);
        let slots = [rows.figures, rows.scales, table, norms, self.inputs.schedule, report.ring, report.status];
        self.recording.push(kernel, &slots);
    }

    /// Returns ranges of the arenas that the device can bind; no range divides a tensor.
    fn pieces(&self) -> Vec<std::ops::Range<usize>> {
        self.parameters.ranges(&self.recording, self.device, false).into_iter().map(|(range, _)| range).collect()
    }

    /// Records the addition of the arena `from` to `to`.
    fn add(&mut self, from: Slot, to: Slot) {
        for range in self.pieces() {
            let [from, to] = [from, to].map(|arena| self.recording.range(arena, range.clone()));
            self.recording.push(Axpy::new(range.len() as u32, 1.0), &[from, to]);
        }
    }

    /// Records the squared norms of every learned tensor's gradient in an arena.
    fn norms(&mut self, gradients: Slot) -> (Slot, u32) {
        let places: Vec<_> = self.parameters.all_learned().iter().map(|learned| learned.place(&self.recording)).collect();
        let norms = self.slot("norms", (places.len() * Squares::SHARES) as u32);
        let mut first = 0;
        for piece in self.pieces() {
            let inside = places.iter().filter(|place| piece.contains(&place.start));
            let ranges: Vec<u32> = inside.flat_map(|place| [(place.start - piece.start) as u32, place.len() as u32]).collect();
            let (rows, range) = (ranges.len() as u32 / 2, self.recording.range(gradients, piece.clone()));
            let table = self.recording.table("ranges of gradients", ranges);
            self.recording.push(Squares::new(piece.len() as u32, rows, first), &[range, table, norms]);
            first += rows;
        }
        (norms, places.len() as u32)
    }

    fn update(&mut self, gradients: Slot, report: &ReportSlots) {
        let (schedule, status) = (self.inputs.schedule, report.status);
        self.recipe.optimizer.record(&mut self.recording, self.parameters, gradients, self.device, [schedule, status]);
    }

    /// Records `steps` as a part of the recording.
    fn part<T>(&mut self, label: &str, steps: impl FnOnce(&mut Self) -> T) -> (Part, T) {
        let begun = self.recording.begin(label);
        let value = steps(self);
        (self.recording.end(begun), value)
    }

    /// Records one training step.
    fn training(&mut self) -> (Vec<Beat>, ReportSlots, Vec<Learned>) {
        let (rows, report) = (self.rows("a step"), self.report("training"));
        let [_, gradients] = self.parameters.arenas().expect("a net learns something");
        let keep = self.recipe.objective.keep;
        if self.is_whole() {
            let (step, ()) = self.part("step", |w| {
                let mut pass = w.forward(true);
                w.figures(&pass, rows);
                w.mine(rows, keep);
                w.parameters.clear(&mut w.recording, gradients, w.device);
                w.backward(&mut pass, rows);
                w.summary(rows, &report, Some(gradients));
                pass.track(&mut w.recording, report.status);
                w.update(gradients, &report);
            });
            return (vec![Beat::Once(step)], report, self.parameters.all_learned().to_vec());
        }
        let len = self.recording.slots()[gradients.index()].len;
        let sums = self.recording.slot("sums of gradients", len);
        let (judge, ()) = self.part("judge", |w| {
            let pass = w.forward(true);
            w.figures(&pass, rows);
        });
        let (select, ()) = self.part("select", |w| {
            w.mine(rows, keep);
            w.parameters.clear(&mut w.recording, sums, w.device);
        });
        let (learn, ()) = self.part("learn", |w| {
            w.parameters.clear(&mut w.recording, gradients, w.device);
            let mut pass = w.forward(true);
            w.backward(&mut pass, rows);
            pass.track(&mut w.recording, report.status);
            // Each micro-batch is summed separately and then added once, so that the bits of its gradient do
            // not depend on where it is computed.
            w.add(gradients, sums);
        });
        let (update, ()) = self.part("update", |w| {
            w.summary(rows, &report, Some(sums));
            w.update(sums, &report);
        });
        let beats = vec![Beat::Each(judge), Beat::Once(select), Beat::Each(learn), Beat::Once(update)];
        let learned = self.parameters.all_learned().iter().map(|learned| {
            let place = learned.place(&self.recording);
            Learned { gradient: self.recording.range(sums, place), ..learned.clone() }
        });
        (beats, report, learned.collect())
    }

    /// Records the same without learning: no dropout and no mining.
    fn validation(&mut self) -> (Vec<Beat>, ReportSlots) {
        let (rows, report) = (self.rows("validation"), self.report("validation"));
        let (judge, ()) = self.part("judge for validation", |w| {
            let pass = w.forward(false);
            w.figures(&pass, rows);
        });
        let (sum, ()) = self.part("sum up validation", |w| {
            w.mine(rows, [1.0; 3]);
            w.summary(rows, &report, None);
        });
        (vec![Beat::Each(judge), Beat::Once(sum)], report)
    }
}
