//! On which processors a thread may run.

use std::io;

use super::check;

/// How many processors a mask has room for at first: what the C library's own type has.
const PROCESSORS_FIRST: usize = 1024;
/// More than any kernel is built for.
const PROCESSORS_MAX: usize = 1 << 16;

const BITS: usize = u64::BITS as usize;

/// `sched_getaffinity(2)` of the calling thread: the numbers of the processors that it may run on, in their order.
pub(crate) fn affinity() -> io::Result<Vec<usize>> {
    let mut processors = PROCESSORS_FIRST;
    loop {
        let mut mask = vec![0_u64; processors / BITS];
        // SAFETY: the call fills at most the memory of `mask`, which lives until it returns and is aligned for the kernel's words.
        let result = check(unsafe {
            libc::sched_getaffinity(0, size_of_val(&mask[..]), mask.as_mut_ptr().cast())
        });
        match result {
            Ok(_) => return Ok(numbers(&mask)),
            // The kernel's masks are longer.
            Err(error)
                if error.raw_os_error() == Some(libc::EINVAL) && processors < PROCESSORS_MAX =>
            {
                processors *= 2;
            }
            Err(error) => return Err(error),
        }
    }
}

/// `sched_setaffinity(2)` of the calling thread.
pub(crate) fn set_affinity(processors: &[usize]) -> io::Result<()> {
    let highest = processors.iter().copied().max().unwrap_or(0);
    if highest >= PROCESSORS_MAX {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut mask = vec![0_u64; (highest + 1).max(PROCESSORS_FIRST).div_ceil(BITS)];
    for processor in processors {
        mask[processor / BITS] |= 1 << (processor % BITS);
    }
    // SAFETY: the call reads the memory of `mask`, which lives until it returns and is aligned for the kernel's words.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&mask[..]), mask.as_ptr().cast()) })?;
    Ok(())
}

/// The numbers of the bits that are set.
fn numbers(mask: &[u64]) -> Vec<usize> {
    let is_set = |number: &usize| mask[number / BITS] & (1 << (number % BITS)) != 0;
    (0..mask.len() * BITS).filter(is_set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_what_one_gets_and_the_thread_has_it_alone() {
        let all = affinity().unwrap();
        let last = *all.last().expect("this thread runs somewhere");
        let there = std::thread::spawn(move || {
            set_affinity(&[last]).unwrap();
            affinity().unwrap()
        });
        assert_eq!(there.join().unwrap(), [last]);
        assert_eq!(affinity().unwrap(), all);
    }

    #[test]
    fn processors_that_do_not_exist_are_an_error() {
        for nonsense in [&[PROCESSORS_MAX - 1][..], &[PROCESSORS_MAX], &[]] {
            let error = set_affinity(nonsense).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{nonsense:?}");
        }
    }

    #[test]
    fn bits_are_numbered_across_words() {
        assert_eq!(numbers(&[1 | 1 << 63, 0, 0b110]), [0, 63, 129, 130]);
    }
}
