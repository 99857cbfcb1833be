//! The splitter gives the same events however a stream is cut into chunks.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate_mcp::sse::{Splitter, SseFault, encode};

type Found = (Vec<(Option<Bytes>, Option<Bytes>, Option<Bytes>, Option<u64>)>, Option<SseFault>);

fn events(chunks: impl Iterator<Item = Bytes>) -> Found {
    let mut splitter = Splitter::new(1 << 20);
    let mut found = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        loop {
            match splitter.next() {
                Ok(Some(event)) => {
                    found.push((event.data, event.event, event.id, event.retry_millis));
                }
                Ok(None) => break,
                Err(fault) => return (found, Some(fault)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, stream) = input;
    let stream = Bytes::from(stream);
    let whole = events(std::iter::once(stream.clone()));
    let cut = events(stream.chunks(usize::from(size) + 1).map(Bytes::copy_from_slice));
    assert_eq!(whole, cut);
    let Ok(text) = std::str::from_utf8(&stream) else { return };
    let written = encode(Some(text), Some(&stream), None, &stream);
    let (read, fault) = events(std::iter::once(written));
    assert_eq!((read.len(), fault), (1, None));
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(read[0].0.as_deref(), Some(lines.as_bytes()));
});
