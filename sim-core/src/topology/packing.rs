//! How much a set of rings can carry that share links: a linear program, solved exactly.

/// The links of a ring, as a bit mask.
pub(super) type Cycle = u32;

/// `times` × the most that `cycles` carry together if no link carries more than its capacity, rounded
/// down. Links are those of up to eight GPUs, so at most 28.
///
/// The simplex method over integers (Edmonds): all numbers are numerators over one common denominator,
/// which are determinants of the matrix of links and rings, so no rounding happens before the last
/// line. Of the columns only those of the basis and the slacks are kept (28 × 29 numbers); rings are
/// priced when one is to enter. Bland's rule, so it ends. A 0/1 matrix of order 28 has no determinant
/// above 7×10¹², capacities fit 32 bits, and products stay within 128 bits.
pub(super) fn most(capacities: &[u32], cycles: &[Cycle], times: i128) -> u32 {
    let mut tableau = Tableau::new(capacities, cycles.len());
    while let Some((variable, column, price)) = tableau.enters(cycles) {
        let Some(row) = tableau.leaves(&column) else {
            break; // unbounded: a ring without links, which there is not
        };
        tableau.pivot(row, variable, &column, price);
    }
    u32::try_from(tableau.value() * times / tableau.denominator).unwrap_or(u32::MAX)
}

#[derive(Debug)]
struct Tableau {
    links: usize,
    /// Per basic variable the columns of the slacks, then what it is.
    rows: Vec<Vec<i128>>,
    /// The prices of the links, then the value.
    prices: Vec<i128>,
    denominator: i128,
    /// Which variables are basic: rings first, then slacks.
    basis: Vec<usize>,
    cycles: usize,
}

impl Tableau {
    fn new(capacities: &[u32], cycles: usize) -> Self {
        let links = capacities.len();
        let row = |link: usize| {
            let mut row = vec![0; links + 1];
            row[link] = 1;
            row[links] = i128::from(capacities[link]);
            row
        };
        Self {
            links,
            rows: (0..links).map(row).collect(),
            prices: vec![0; links + 1],
            denominator: 1,
            basis: (cycles..cycles + links).collect(),
            cycles,
        }
    }

    fn value(&self) -> i128 {
        self.prices[self.links]
    }

    /// The first variable that gains: its number, its column, and what it loses.
    fn enters(&self, cycles: &[Cycle]) -> Option<(usize, Vec<i128>, i128)> {
        let links = |cycle: Cycle| (0..self.links).filter(move |&link| cycle >> link & 1 == 1);
        for (variable, &cycle) in cycles.iter().enumerate() {
            let cost: i128 = links(cycle).map(|link| self.prices[link]).sum();
            if cost < self.denominator {
                let column = |row: &Vec<i128>| links(cycle).map(|link| row[link]).sum();
                let column = self.rows.iter().map(column).collect();
                return Some((variable, column, cost - self.denominator));
            }
        }
        let slack = (0..self.links).find(|&link| self.prices[link] < 0)?;
        let column = self.rows.iter().map(|row| row[slack]).collect();
        Some((self.cycles + slack, column, self.prices[slack]))
    }

    /// The row that binds first; of several the one whose variable is first.
    fn leaves(&self, column: &[i128]) -> Option<usize> {
        let mut best: Option<usize> = None;
        for row in (0..self.links).filter(|&row| column[row] > 0) {
            let is_better = best.is_none_or(|other| {
                let mine = self.rows[row][self.links] * column[other];
                let its = self.rows[other][self.links] * column[row];
                (mine, self.basis[row]) < (its, self.basis[other])
            });
            if is_better {
                best = Some(row);
            }
        }
        best
    }

    fn pivot(&mut self, row: usize, variable: usize, column: &[i128], price: i128) {
        let (by, pivot) = (self.rows[row].clone(), column[row]);
        let old = self.denominator;
        let turn = |numbers: &mut Vec<i128>, factor: i128| {
            for (number, &by) in numbers.iter_mut().zip(&by) {
                *number = (*number * pivot - factor * by) / old;
            }
        };
        for (place, numbers) in self.rows.iter_mut().enumerate() {
            if place != row {
                turn(numbers, column[place]);
            }
        }
        turn(&mut self.prices, price);
        self.denominator = pivot;
        self.basis[row] = variable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_share_their_links() {
        // A triangle: one ring, as wide as its narrowest link.
        assert_eq!(most(&[3, 5, 4], &[0b111], 2), 6);
        // Four GPUs, every two linked: three rings of four of the six links, each link in two of them.
        // A half of each is the most: 3/2, and 3 in both directions.
        let square = [0b01_1110, 0b10_1101, 0b11_0011];
        assert_eq!(most(&[1; 6], &square, 2), 3);
        assert_eq!(most(&[10; 6], &square, 1), 15);
        assert_eq!(most(&[1; 6], &[], 2), 0);
        assert_eq!(most(&[], &[], 2), 0);
    }

    /// Random programs: what the tableau holds is feasible, its prices prove that nothing is better.
    #[test]
    fn answers_come_with_their_proof() {
        let mut state = 1_u64;
        let mut draw = |below: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            u32::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..300 {
            let links = 1 + usize::try_from(draw(12)).unwrap();
            let capacities: Vec<u32> = (0..links).map(|_| draw(5) * 20_000).collect();
            let cycles: Vec<Cycle> = (0..draw(40)).map(|_| 1 + draw((1 << links) - 1)).collect();
            let mut tableau = Tableau::new(&capacities, cycles.len());
            while let Some((variable, column, price)) = tableau.enters(&cycles) {
                let row = tableau.leaves(&column).unwrap();
                tableau.pivot(row, variable, &column, price);
            }
            let mut used = vec![0; links];
            let mut sum = 0;
            for (row, &variable) in tableau.basis.iter().enumerate() {
                let value = tableau.rows[row][links];
                assert!(value >= 0);
                if variable < cycles.len() {
                    sum += value;
                    (0..links)
                        .filter(|&link| cycles[variable] >> link & 1 == 1)
                        .for_each(|link| used[link] += value);
                }
            }
            let one = tableau.denominator;
            let limits = || capacities.iter().map(|&capacity| i128::from(capacity));
            assert!(
                used.iter()
                    .zip(limits())
                    .all(|(used, limit)| *used <= limit * one)
            );
            let price = |cycle: Cycle| -> i128 {
                let its = (0..links).filter(|&link| cycle >> link & 1 == 1);
                its.map(|link| tableau.prices[link]).sum()
            };
            assert!(tableau.prices[..links].iter().all(|&price| price >= 0));
            assert!(cycles.iter().all(|&cycle| price(cycle) >= one));
            let dual = tableau.prices.iter().zip(limits());
            assert_eq!(sum, dual.map(|(price, limit)| price * limit).sum::<i128>());
            assert_eq!(sum, tableau.value());
        }
    }

    #[test]
    fn halves_are_not_lost() {
        // Three rings, every two of which share a link: a half of each.
        assert_eq!(most(&[1, 1, 1], &[0b011, 0b110, 0b101], 1), 1);
        assert_eq!(most(&[1, 1, 1], &[0b011, 0b110, 0b101], 2), 3);
    }
}
