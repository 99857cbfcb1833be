//! An upstream's reply means the same however it is cut into pieces, and never makes us panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_gate::upstream::codec::{Codec, Said};
use tollgate_gate::upstream::{Cause, Head};

type Understood = (Option<Head>, Vec<u8>, Result<usize, Cause>, bool);

/// Head, body, how many bytes lie behind the reply or why it is invalid, and whether more may follow.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, total: usize, to_head: bool) -> Understood {
    let mut codec = Codec::new(to_head);
    let (mut head, mut body, mut held, mut spent) = (None, Vec::new(), Vec::new(), 0);
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let mut used = 0;
            let said = match codec.step(&held, &mut used) {
                Ok(said) => said,
                Err(cause) => return (head, body, Err(cause), false),
            };
            assert!(used <= held.len());
            let is_more = said == Said::More;
            match said {
                Said::Head(found) => assert!(head.replace(found).is_none()),
                Said::Data(range) => body.extend_from_slice(&held[range]),
                Said::End => return (head, body, Ok(total - spent - used), codec.keeps_alive()),
                Said::More => {}
            }
            held.drain(..used);
            spent += used;
            if is_more {
                break;
            }
        }
    }
    let outcome = codec.close(&held).map(|()| total - spent);
    (head, body, outcome, codec.keeps_alive())
}

fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (to_head, size, reply) = input;
    let whole = read(std::iter::once(&reply[..]), reply.len(), to_head);
    let cut = read(reply.chunks(usize::from(size) + 1), reply.len(), to_head);
    assert_eq!(whole, cut);
});
