//! Free loopback ports. Taken from below the range from which the kernel gives ports to outgoing connections, so that a
//! server which is stopped and started again finds its port as it left it.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;
/// A block is as many ports as the largest server (a control plane) takes.
pub const BLOCK: u16 = 10;
const BLOCKS: u16 = (LAST - FIRST) / BLOCK;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of [`BLOCK`] neighbouring ports nobody listens on. Test processes that run side by side begin their search
/// at different places, and one process never gets a block twice before it has been through all.
///
/// # Panics
/// When every block is taken.
#[expect(clippy::expect_used, reason = "a machine without ports cannot run the tests")]
pub fn free_block() -> u16 {
    let start = u16::try_from(process::id().wrapping_mul(37) % u32::from(BLOCKS)).unwrap_or_default();
    (0..BLOCKS)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCKS) % BLOCKS * BLOCK)
        .find(|first| (*first..first + BLOCK).all(is_free))
        .expect("a free block of loopback ports")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
