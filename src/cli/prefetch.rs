//! Work ahead on other threads, results in order.

use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Context as _, Result};

/// Number of threads that decode images ahead: half of the cores, but at most four. Each may hold a decoded
/// image, and four keep up with a fast GPU.
pub fn decoders() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, 4)
}

/// Calls `make` for each item on `threads` helper threads and `take` on this one with the results, in the
/// order of the items.
///
/// Thread `t` makes items `t`, `t + threads`, … and holds at most one finished result, so never more than
/// `threads` of them wait.
///
/// # Errors
///
/// If the system cannot start the threads; else the first error of `take`, after which nothing more is made.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    make: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<()>,
) -> Result<()> {
    let threads = threads.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let results: Vec<_> = (0..threads)
            .map(|first| {
                let make = &make;
                let (sender, receiver) = sync_channel(0);
                let work = move || {
                    // A failed send means that `take` failed and nobody listens any more.
                    items.iter().skip(first).step_by(threads).all(|item| sender.send(make(item)).is_ok())
                };
                thread::Builder::new().spawn_scoped(scope, work).context("starting a thread that reads ahead")?;
                Ok(receiver)
            })
            .collect::<Result<_>>()?;
        (0..items.len()).try_for_each(|index| take(index, results[index % threads].recv().context("a helper thread died")?))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 3, 20] {
            let items: Vec<u64> = (0..10).collect();
            let slow_start = |&item: &u64| {
                thread::sleep(Duration::from_millis(10 - item));
                item * item
            };
            let mut taken = Vec::new();
            in_order(&items, threads, slow_start, |index, square| {
                taken.push((index as u64, square));
                Ok(())
            })
            .expect("take never fails");
            assert_eq!(taken, (0..10).map(|i| (i, i * i)).collect::<Vec<_>>());
        }
        in_order(&[], 4, |&(): &()| (), |_, ()| anyhow::bail!("nothing to take")).expect("no items, no calls");
    }

    #[test]
    fn an_error_stops_the_makers() {
        let made = AtomicUsize::new(0);
        let result = in_order(
            &[(); 1000],
            3,
            |()| made.fetch_add(1, Ordering::Relaxed),
            |index, _| {
                anyhow::ensure!(index < 5, "enough");
                Ok(())
            },
        );
        assert_eq!(result.map_err(|error| error.to_string()), Err("enough".to_owned()));
        assert!(made.into_inner() < 20);
    }
}
