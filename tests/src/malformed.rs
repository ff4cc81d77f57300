//! Frames that no decoder takes, for whoever is to send some.

/// Nothing, an endless number, a wrong length, an unknown shape, a long run of fields, zeros.
pub const FRAMES: [&[u8]; 6] = [
    b"",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    &[0x52, 2, 0x0a, 0],
    &[0x0a, 0xff, 0xff, 3],
    &[8; 300],
    &[0; 9],
];
