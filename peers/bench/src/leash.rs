//! Ends a program when the one that started it is gone.
//!
//! The benchmark holds the standard input of what it starts; when it ends, however it ends, the
//! input closes. Needs no signal and no process id.

use std::io::Read;

/// From now on the program ends when its standard input does.
pub fn follow_input() {
    std::thread::spawn(|| {
        wait_for_end_of_input();
        std::process::exit(0);
    });
}

/// Blocks until standard input ends.
pub fn wait_for_end_of_input() {
    let mut scrap = [0; 64];
    let mut input = std::io::stdin().lock();
    while input.read(&mut scrap).is_ok_and(|read| read > 0) {}
}
