//! From settings to cores: what [`Builder::build`] starts.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use super::super::threads::CoreThread;
use super::super::{Others, Runtime};
use super::Builder;
use crate::cores::{CoreId, Team};
use crate::driver::Choice;
use crate::observe::Board;
use crate::random::Random;
use crate::task::{FirstPanic, PanicPolicy, PanicResponse};
use crate::worker::{Settings, Siblings};

/// Which of the generators of a runtime's seed those of its other cores are drawn from.
const SEEDS_OF_CORES: u64 = 2;

impl Builder {
    /// Several cores on this thread.
    pub(super) fn build_simulated(
        &self,
        count: usize,
        mut settings: Settings,
    ) -> io::Result<Runtime> {
        settings.driver.choice = Choice::Sim;
        let others = (1..count).map(|number| of_core(number, &settings));
        let (worker, siblings) = Siblings::new(&settings, others)?;
        let cores = worker.core().scheduler.team();
        Ok(Runtime {
            worker: Some(worker),
            others: Others::Simulated(RefCell::new(siblings)),
            cores,
            shutdown_deadline: self.shutdown_deadline,
            panics: settings.panics,
            watchdog: None,
            _bound: None,
        })
    }

    pub(super) fn panic_response(&self) -> PanicResponse {
        match self.panic_policy {
            PanicPolicy::Isolate => PanicResponse::Isolate,
            PanicPolicy::Shutdown => {
                PanicResponse::Shutdown(Arc::new(FirstPanic::new(self.shutdown_deadline)))
            }
            PanicPolicy::Abort => PanicResponse::Abort,
        }
    }

    /// All cores but the first one.
    pub(super) fn start_others(
        &self,
        places: impl Iterator<Item = Option<Vec<usize>>>,
        first: CoreId,
        settings: &Settings,
        boards: &[Arc<Board>],
    ) -> io::Result<Started> {
        let mut threads = Vec::new();
        let mut cores = vec![first];
        let mut made = Ok(());
        for (place, number) in places.zip(1_usize..) {
            let mut settings = of_core(number, settings);
            settings.board = boards.get(number).cloned();
            match CoreThread::start(number, &self.core_thread_name, place, settings) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    made = Err(error);
                    break;
                }
            }
        }
        // They are made at the same time. The error of the lowest number is told.
        for thread in &threads {
            match thread.id() {
                Ok(id) => cores.push(id),
                Err(error) => {
                    made = Err(error);
                    break;
                }
            }
        }
        if let Err(error) = made {
            threads.into_iter().for_each(CoreThread::give_up);
            return Err(error);
        }
        let cores = Team::new(cores);
        for thread in &mut threads {
            thread.run_among(&cores);
        }
        Ok(Started { threads, cores })
    }
}

/// The settings of another core than the first one.
fn of_core(number: usize, settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    let seeds = Random::of_stream(settings.driver.seed, SEEDS_OF_CORES, number as u64);
    settings.driver.seed = seeds.next();
    settings
}

/// What `build` has started.
pub(super) struct Started {
    pub(super) threads: Vec<CoreThread>,
    /// All cores, the first one among them.
    pub(super) cores: Team,
}
