//! Transactions to submit: real ones from the file that `LEDGERCAST_SAMPLE` names (hex, one a line),
//! generated ones of like sizes otherwise.

use std::path::{Path, PathBuf};

/// How many transactions the sample has, and as many are generated.
pub(crate) const TRANSACTION_COUNT: usize = 1557;

const SIZE_MIN: usize = 185;
const SIZE_MEDIAN: usize = 226;
const SIZE_MAX: usize = 65_244;

/// A file with one transaction in hex a line, and the transactions.
pub(crate) fn transactions(folder: &Path) -> (PathBuf, Vec<Vec<u8>>) {
    let (text, from) = match std::env::var_os("LEDGERCAST_SAMPLE") {
        Some(file) => {
            let text = std::fs::read_to_string(&file).expect("the file that LEDGERCAST_SAMPLE names");
            (text, file.to_string_lossy().into_owned())
        }
        None => (generated(), "generated".to_owned()),
    };
    let transactions: Vec<Vec<u8>> = text.lines().map(decode).collect();
    println!("{} transactions, {from}", transactions.len());
    assert_eq!(transactions.len(), TRANSACTION_COUNT, "{from}");
    if from == "generated" {
        let sizes = || transactions.iter().map(Vec::len);
        assert_eq!((sizes().min(), sizes().max()), (Some(SIZE_MIN), Some(SIZE_MAX)));
    }
    let file = folder.join("transactions.hex");
    std::fs::write(&file, text).expect("write the transactions");
    (file, transactions)
}

/// Sizes spread like the sample's: most near the median, a few large, the extremes once.
fn generated() -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64: any sequence does, as long as it is the same in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = String::new();
    for index in 0..TRANSACTION_COUNT {
        let size = match index {
            0 => SIZE_MIN,
            1 => SIZE_MAX,
            _ if index % 40 == 0 => SIZE_MIN + usize::try_from(next() % 20_000).expect("small"),
            _ => SIZE_MEDIAN + usize::try_from(next() % 200).expect("small"),
        };
        (0..size).for_each(|_| text.push_str(&format!("{:02x}", next() as u8)));
        text.push('\n');
    }
    text
}

fn decode(line: &str) -> Vec<u8> {
    let digits: Vec<u8> = line.chars().map(|c| c.to_digit(16).expect("hex") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
