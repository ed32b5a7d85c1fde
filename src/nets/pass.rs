//! [`Pass`]: a graph recorded forward, and backward as far as something learns.

use super::graph::{Graph, NodeId};
use super::layer::{Site, Taped, Value};
use super::parameters::Parameters;
use crate::kernels::nn::Axpy;
use crate::kernels::train::Clear;
use crate::record::{DeviceFacts, Recording, Slot};

/// One graph in one recording.
#[derive(Debug)]
pub struct Pass<'a> {
    graph: &'a Graph,
    parameters: &'a Parameters,
    device: DeviceFacts,
    schedule: Option<Slot>,
    /// By node.
    values: Vec<Option<Slot>>,
    kept: Vec<Vec<Slot>>,
    gradients: Vec<Option<Slot>>,
    is_spent: bool,
}

impl<'a> Pass<'a> {
    /// Of `graph`, with the slots of `parameters`, for `device`. Dropout follows `schedule`; without it there is none.
    pub fn new(graph: &'a Graph, parameters: &'a Parameters, device: DeviceFacts, schedule: Option<Slot>) -> Self {
        let nodes = graph.nodes().len();
        let mut values = vec![None; nodes];
        for (id, _) in graph.parameters() {
            values[id.index()] = Some(parameters.value(graph, id));
        }
        Self { graph, parameters, device, schedule, values, kept: vec![Vec::new(); nodes], gradients: vec![None; nodes], is_spent: false }
    }

    /// Says where the input `id` is.
    pub fn bind(&mut self, id: NodeId, slot: Slot) {
        self.values[id.index()] = Some(slot);
    }

    /// Appends the computation of `wanted` and of what that needs, unless it is recorded already.
    ///
    /// # Panics
    ///
    /// If an input that it needs is not bound: a mistake in the caller.
    pub fn forward(&mut self, recording: &mut Recording, wanted: &[NodeId]) {
        let needed = self.ancestors(wanted);
        for id in self.graph.ids().filter(|id| needed[id.index()]) {
            let node = self.graph.node(id);
            if self.values[id.index()].is_some() {
                continue;
            }
            assert!(!node.layer.is_given(), "input {:?} is bound to no slot", node.label);
            let y = recording.scratch(node.label.clone(), node.shape.elements() as usize);
            let x: Vec<Value<'_>> = node.inputs.iter().map(|input| self.of(*input)).collect();
            let mut site = Site { recording, device: self.device, schedule: self.schedule };
            let kept = node.layer.op().forward(&mut site, &x, Value { slot: y, shape: &node.shape });
            self.values[id.index()] = Some(y);
            self.kept[id.index()] = kept;
        }
    }

    /// Where the result of `id` is.
    ///
    /// # Panics
    ///
    /// If it was not recorded: a mistake in the caller.
    pub fn value(&self, id: NodeId) -> Slot {
        self.values[id.index()].unwrap_or_else(|| panic!("{:?} was not recorded", self.graph.node(id).label))
    }

    fn of(&self, id: NodeId) -> Value<'a> {
        Value { slot: self.value(id), shape: &self.graph.node(id).shape }
    }

    /// The gradient of the result `id`, cleared, for losses to add to.
    ///
    /// # Panics
    ///
    /// If `id` is a tensor, whose gradient lies among the parameters': a mistake in the caller.
    pub fn gradient(&mut self, recording: &mut Recording, id: NodeId) -> Slot {
        assert!(self.parameters.learned(self.graph, id).is_none(), "{:?} is a tensor", self.graph.node(id).label);
        let known = self.gradients[id.index()];
        known.unwrap_or_else(|| self.fresh(recording, id, true))
    }

    /// A gradient for `id`, which nothing was added to yet.
    fn fresh(&mut self, recording: &mut Recording, id: NodeId, cleared: bool) -> Slot {
        let node = self.graph.node(id);
        let slot = recording.scratch(format!("d{}", node.label), node.shape.elements() as usize);
        if cleared {
            recording.push(Clear::new(node.shape.elements()), &[slot]);
        }
        self.gradients[id.index()] = Some(slot);
        slot
    }

    /// Appends the backward pass from the nodes `losses`, whose gradients are there ([`Pass::gradient`]), into `into`: tensors, whose
    /// gradients are added to, and inputs. Nodes on no path from `into` to a loss have no part in it. A pass goes backward once.
    ///
    /// # Panics
    ///
    /// If a loss has no gradient, or the pass has gone backward before: mistakes in the caller.
    pub fn backward(&mut self, recording: &mut Recording, losses: &[NodeId], into: &[NodeId]) {
        assert!(!std::mem::replace(&mut self.is_spent, true), "a pass goes backward once");
        losses.iter().for_each(|id| assert!(self.gradients[id.index()].is_some(), "{:?} has no gradient", self.graph.node(*id).label));
        let above = self.ancestors(losses);
        let mut reached = vec![false; above.len()];
        for id in self.graph.ids() {
            let through = self.graph.node(id).inputs.iter().any(|input| reached[input.index()]);
            reached[id.index()] = above[id.index()] && (through || into.contains(&id));
        }
        for id in self.graph.ids().rev() {
            let node = self.graph.node(id);
            let Some(dy) = self.gradients[id.index()].filter(|_| reached[id.index()] && !node.layer.is_given()) else { continue };
            let overwrites = node.layer.op().overwrites();
            // Where the layer writes a gradient that another has added to already.
            let mut beside = None;
            let mut dx = Vec::with_capacity(node.inputs.len());
            for (i, &input) in node.inputs.iter().enumerate() {
                let overwrites = overwrites && i == 0;
                dx.push(reached[input.index()].then(|| match self.target(input) {
                    Some(target) if overwrites => {
                        let own = recording.scratch(format!("d{} of one reader", self.graph.node(input).label), self.len(input));
                        beside = Some((own, target));
                        own
                    }
                    Some(target) => target,
                    None => self.fresh(recording, input, !overwrites),
                }));
            }
            let x: Vec<Value<'_>> = node.inputs.iter().map(|input| self.of(*input)).collect();
            let taped = Taped { x: &x, y: self.of(id), kept: &self.kept[id.index()] };
            let mut site = Site { recording, device: self.device, schedule: self.schedule };
            node.layer.op().backward(&mut site, &taped, dy, &dx);
            if let Some((own, target)) = beside {
                recording.push(Axpy::new(x[0].shape.elements(), 1.0), &[own, target]);
            }
        }
    }

    /// Appends how running statistics follow what the forward pass saw, unless `status` has a fault by then.
    pub fn track(&self, recording: &mut Recording, status: Slot) {
        for id in self.graph.ids().filter(|id| !self.graph.node(*id).layer.is_given() && self.values[id.index()].is_some()) {
            let node = self.graph.node(id);
            let x: Vec<Value<'_>> = node.inputs.iter().map(|input| self.of(*input)).collect();
            let taped = Taped { x: &x, y: self.of(id), kept: &self.kept[id.index()] };
            node.layer.op().track(&mut Site { recording, device: self.device, schedule: self.schedule }, &taped, status);
        }
    }

    /// The gradient of `id` that is there already: a tensor's is cleared before the pass.
    fn target(&self, id: NodeId) -> Option<Slot> {
        self.gradients[id.index()].or_else(|| self.parameters.learned(self.graph, id).map(|learned| learned.gradient))
    }

    fn len(&self, id: NodeId) -> usize {
        self.graph.node(id).shape.elements() as usize
    }

    /// Tensors of the graph that learn: what a backward pass usually goes into.
    pub fn learned(&self) -> Vec<NodeId> {
        let learns = |id: &NodeId| self.parameters.learned(self.graph, *id).is_some();
        self.graph.parameters().map(|(id, _)| id).filter(learns).collect()
    }

    /// By node, whether one of `of` needs it.
    fn ancestors(&self, of: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.graph.nodes().len()];
        of.iter().for_each(|id| needed[id.index()] = true);
        for id in self.graph.ids().rev() {
            if needed[id.index()] {
                self.graph.node(id).inputs.iter().for_each(|input| needed[input.index()] = true);
            }
        }
        needed
    }
}
