//! Random choices from a seeded generator; the same seed draws the same ones.

use rand_core::Rng;
use std::time::Duration;

/// A number from 0 up to, not including, `bound`; 0 for a bound of 0. The bias is below `bound` ÷ 2⁶⁴.
pub fn below(random: &mut impl Rng, bound: usize) -> usize {
    let drawn = u128::from(random.next_u64()) * bound as u128;
    usize::try_from(drawn >> 64).expect("less than the bound, which is a usize")
}

/// Up to `count` different entries in random order.
pub fn sample<T>(random: &mut impl Rng, mut from: Vec<T>, count: usize) -> Vec<T> {
    let count = count.min(from.len());
    for index in 0..count {
        let other = index + below(random, from.len() - index);
        from.swap(index, other);
    }
    from.truncate(count);
    from
}

/// A time from zero up to `max`, in steps of a millisecond.
pub fn spread(random: &mut impl Rng, max: Duration) -> Duration {
    let millis = usize::try_from(max.as_millis()).unwrap_or(usize::MAX);
    Duration::from_millis(below(random, millis) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn draws_different_entries_and_the_same_ones_again_from_the_same_seed() {
        let draw = |seed| sample(&mut ChaCha8Rng::from_seed([seed; 32]), (0..100).collect(), 10);

        let mut drawn: Vec<u32> = draw(1);

        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 10);
    }

    #[test]
    fn draws_no_more_than_there_is() {
        let mut random = ChaCha8Rng::from_seed([1; 32]);

        assert_eq!(sample(&mut random, vec![7], 3), [7]);
        assert_eq!(sample(&mut random, Vec::<u8>::new(), 3), []);
        assert_eq!(below(&mut random, 0), 0);
        assert!((0..100).all(|_| below(&mut random, 3) < 3));
    }
}
