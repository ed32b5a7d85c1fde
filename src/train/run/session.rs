//! A run under way.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Batches, End, Event, Kept, Learner, Run, RunError};
use crate::train::Meters;
use crate::train::checkpoint::{Checkpoint, Checkpoints, Progress};
use crate::train::config::NetConfig;
use crate::train::metrics::{Kind, Metrics, Record};

type Watch<'a> = &'a mut dyn FnMut(&Event<'_>);

/// Begins or goes on, and ends in order.
pub fn run<L: Learner, B: Batches<Batch = L::Batch>>(run: Run<'_, L, B>, watch: Watch<'_>) -> Result<End, RunError> {
    let batches = run.batches;
    let mut session = RunSession::open(run, watch)?;
    let (start, steps) = (session.progress.step, session.steps);
    let prefetch = session.run.config.run.prefetch;
    let end = thread::scope(|scope| {
        let (ahead, ready) = sync_channel(prefetch);
        thread::Builder::new().spawn_scoped(scope, move || feed(batches, start..steps, &ahead)).map_err(RunError::Thread)?;
        // `ready` goes when this returns, which ends the other thread.
        session.go(&ready)
    });
    let end = end.map_err(|error| session.with_kept(error))?;
    if end == End::Finished {
        session.finish()?;
    }
    Ok(end)
}

/// Makes batches until nobody wants them.
fn feed<B: Batches>(batches: &B, steps: std::ops::Range<u64>, ahead: &SyncSender<Result<B::Batch, RunError>>) {
    for step in steps {
        let batch = batches.batch(step);
        let failed = batch.is_err();
        if ahead.send(batch).is_err() || failed {
            return;
        }
    }
}

struct RunSession<'a, 'w, L, B> {
    run: Run<'a, L, B>,
    watch: Watch<'w>,
    net: NetConfig,
    store: Checkpoints,
    metrics: Metrics,
    progress: Progress,
    /// Steps of the whole run.
    steps: u64,
    per_epoch: u64,
    /// Of the steps since the last record.
    meters: Meters,
    /// Steps in it, and since when.
    since: (u64, Instant),
    saved: Instant,
    /// Seconds of training before this process, and since when it trains.
    clock: (f64, Instant),
}

impl<'a, 'w, L: Learner, B: Batches<Batch = L::Batch>> RunSession<'a, 'w, L, B> {
    fn open(mut run: Run<'a, L, B>, watch: Watch<'w>) -> Result<Self, RunError> {
        let net = run.config.net(run.net).expect("one of the three nets").clone();
        let store = Checkpoints::open(&run.folder.checkpoints(), run.config.run.keep)?;
        let newest = store.newest()?;
        let mut progress = Progress::default();
        if let Some(newest) = &newest {
            newest.unreadable.iter().for_each(|error| watch(&Event::Unreadable(error)));
            same_run(&run, &newest.checkpoint)?;
            progress = newest.checkpoint.progress;
            run.learner.import(&newest.checkpoint.tensors, progress.step)?;
        }
        let metrics = Metrics::open(run.folder.path(), progress.step, run.config.run.tensorboard)?;
        let per_epoch = run.batches.per_epoch().max(1);
        let now = Instant::now();
        let mut session = Self {
            steps: net.epochs.saturating_mul(per_epoch),
            per_epoch,
            net,
            store,
            metrics,
            meters: Meters::default(),
            since: (progress.step, now),
            saved: now,
            clock: (progress.seconds, now),
            progress,
            run,
            watch,
        };
        let (steps, batch) = (session.steps, session.run.batches.size());
        (session.watch)(&Event::Begin { step: progress.step, steps, per_epoch, batch });
        if newest.is_none() {
            session.save()?;
        }
        Ok(session)
    }

    fn stopped(&self) -> bool {
        self.run.stop.load(Ordering::Relaxed)
    }

    /// Steps until the end, or until told to stop.
    fn go(&mut self, ready: &Receiver<Result<B::Batch, RunError>>) -> Result<End, RunError> {
        // A run may have been stopped between the end of an epoch and its validation.
        let mut end_of_epoch = self.progress.step > 0 && self.progress.step.is_multiple_of(self.per_epoch);
        loop {
            let validated = !end_of_epoch || self.progress.validated * self.per_epoch >= self.progress.step || self.validate()?;
            if !validated || (self.stopped() && self.progress.step < self.steps) {
                self.save()?;
                return Ok(End::Stopped);
            }
            if end_of_epoch || self.checkpoint_due() {
                self.save()?;
            }
            if self.progress.step >= self.steps {
                return Ok(End::Finished);
            }
            self.step(&ready.recv().map_err(|_| RunError::Feed)??)?;
            end_of_epoch = self.progress.step.is_multiple_of(self.per_epoch);
            if end_of_epoch || self.progress.step.is_multiple_of(self.run.config.run.log_steps) {
                self.log()?;
            }
        }
    }

    fn rate(&self, step: u64) -> f64 {
        self.net.optimizer.learning_rate * self.net.schedule.share(step, self.steps, self.per_epoch)
    }

    fn step(&mut self, batch: &B::Batch) -> Result<(), RunError> {
        self.run.learner.step(batch, self.rate(self.progress.step))?;
        self.progress.step += 1;
        (self.watch)(&Event::Step);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.clock.0 + self.clock.1.elapsed().as_secs_f64()
    }

    fn record(&self, kind: Kind, meters: &Meters, samples_per_second: f64) -> Record {
        let loss = self.net.loss;
        let weights = [("class", loss.class), ("box", loss.r#box), ("landmarks", loss.landmarks)];
        Record {
            kind,
            step: self.progress.step,
            epoch: self.progress.step as f64 / self.per_epoch as f64,
            loss: meters.total(weights),
            figures: meters.means().map(|(name, mean)| (name.to_owned(), mean)).collect(),
            learning_rate: self.rate(self.progress.step.saturating_sub(1)),
            samples_per_second,
            seconds: self.seconds(),
        }
    }

    fn measured(&mut self, record: &Record) -> Result<(), RunError> {
        self.metrics.write(record)?;
        (self.watch)(&Event::Measured(record));
        Ok(())
    }

    /// Reads the losses of the steps since the last time.
    fn read_losses(&mut self) -> Result<(), RunError> {
        let meters = self.run.learner.losses()?;
        self.meters.add(&meters);
        Ok(())
    }

    fn log(&mut self) -> Result<(), RunError> {
        self.read_losses()?;
        let (from, since) = std::mem::replace(&mut self.since, (self.progress.step, Instant::now()));
        let samples = (self.progress.step - from) * u64::from(self.run.batches.size());
        let speed = samples as f64 / since.elapsed().as_secs_f64().max(1e-9);
        let meters = std::mem::take(&mut self.meters);
        self.measured(&self.record(Kind::Train, &meters, speed))
    }

    /// Looks at every validation sample; false if it was told to stop before the last.
    fn validate(&mut self) -> Result<bool, RunError> {
        let count = self.run.batches.validation_batches();
        let (begun, mut meters, batches) = (Instant::now(), Meters::default(), self.run.batches);
        let learner = &mut self.run.learner;
        let stop = self.run.stop;
        let all = thread::scope(|scope| {
            let (ahead, ready) = sync_channel(2);
            let feed = move || (0..count).all(|index| ahead.send(batches.validation_batch(index)).is_ok());
            thread::Builder::new().spawn_scoped(scope, feed).map_err(RunError::Thread)?;
            for batch in ready {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                meters.add(&learner.evaluate(&batch?)?);
            }
            Ok::<_, RunError>(true)
        })?;
        if !all {
            return Ok(false);
        }
        self.progress.validated = self.progress.step / self.per_epoch;
        if count > 0 {
            let record = self.record(Kind::Validation, &meters, meters.samples() as f64 / begun.elapsed().as_secs_f64().max(1e-9));
            self.finite(&meters)?;
            self.measured(&record)?;
            self.keep_best(record.loss)?;
        }
        self.since.1 = Instant::now();
        Ok(true)
    }

    /// A net may go wrong without its training losses showing it, for example in the last step of an epoch.
    fn finite(&self, meters: &Meters) -> Result<(), RunError> {
        meters.broken().map_or(Ok(()), |name| Err(self.not_finite(format!("validation {name} loss"))))
    }

    fn not_finite(&self, what: String) -> RunError {
        RunError::NotFinite { net: self.run.net.into(), step: self.progress.step, what, kept: Kept::default() }
    }

    fn keep_best(&mut self, loss: Option<f64>) -> Result<(), RunError> {
        let Some(loss) = loss else { return Ok(()) };
        if self.progress.best_loss.is_some_and(|best| best <= loss) {
            return Ok(());
        }
        self.progress.best_loss = Some(loss);
        self.progress.best_step = Some(self.progress.step);
        self.checkpoint()?.save(&self.store.best())?;
        (self.watch)(&Event::Best);
        Ok(())
    }

    fn checkpoint_due(&self) -> bool {
        let run = &self.run.config.run;
        let by_time = run.checkpoint_seconds > 0 && self.saved.elapsed() >= Duration::from_secs(run.checkpoint_seconds);
        let by_steps = run.checkpoint_steps > 0 && self.progress.step > 0 && self.progress.step.is_multiple_of(run.checkpoint_steps);
        by_time || by_steps
    }

    /// The state of the run, after all steps proved to be finite.
    fn checkpoint(&mut self) -> Result<Checkpoint, RunError> {
        self.read_losses()?;
        self.progress.seconds = self.seconds();
        let mut tensors = self.run.learner.export()?;
        // The last update may have overflowed, which no loss has shown yet.
        if let Some((name, _)) = tensors.iter().find(|(_, tensor)| !tensor.data.iter().all(|value| value.is_finite())) {
            return Err(self.not_finite(name.clone()));
        }
        for (name, tensor) in self.run.others.iter().flat_map(|others| others.tensors()) {
            tensors.entry(name.clone()).or_insert_with(|| tensor.clone());
        }
        Ok(Checkpoint {
            net: self.run.net.into(),
            tensors,
            progress: self.progress,
            seed: self.run.config.seed,
            config: self.run.config.to_toml(),
            data_hash: self.run.batches.hash().into(),
        })
    }

    fn save(&mut self) -> Result<(), RunError> {
        let checkpoint = self.checkpoint()?;
        self.metrics.sync()?;
        let path = self.store.save(&checkpoint)?;
        self.saved = Instant::now();
        (self.watch)(&Event::Saved(&path));
        Ok(())
    }

    /// Leaves the best weights by themselves.
    fn finish(&mut self) -> Result<(), RunError> {
        let best = self.store.best();
        let checkpoint = if self.progress.best_step.is_some() { Checkpoint::load(&best)? } else { self.checkpoint()? };
        checkpoint.weights()?.save(self.run.folder.weights())?;
        Ok(())
    }

    /// `error`, telling which checkpoint is left.
    fn with_kept(&self, error: RunError) -> RunError {
        match error {
            RunError::NotFinite { net, step, what, .. } => RunError::NotFinite { net, step, what, kept: Kept(self.store.newest_path()) },
            other => other,
        }
    }
}

/// That the checkpoint is of this very run.
fn same_run<L, B: Batches>(run: &Run<'_, L, B>, checkpoint: &Checkpoint) -> Result<(), RunError> {
    let pairs = [
        ("the net", checkpoint.net.clone(), run.net.to_owned()),
        ("crops of hash", checkpoint.data_hash.clone(), run.batches.hash().to_owned()),
        ("seed", checkpoint.seed.to_string(), run.config.seed.to_string()),
    ];
    match pairs.into_iter().find(|(_, began, now)| began != now) {
        Some((what, began, now)) => Err(RunError::Changed { folder: run.folder.path().into(), what, began, now }),
        None => Ok(()),
    }
}
