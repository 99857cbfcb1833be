//! Clients that are slow, silent or too many are cut within their bounds; others are not.

use crate::house::{Gate, limits, read_to_close, read_until, until, within};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tollgate_gate::settings::Limits;

const SHORT: Duration = Duration::from_millis(300);

/// Sends, waits for the close, and returns the reply and how long that took.
async fn cut(limits: Limits, bytes: &str) -> (String, Duration) {
    let gate = Gate::open(limits);
    let mut stream = gate.connect().await;
    let start = Instant::now();
    stream.write_all(bytes.as_bytes()).await.expect("sent");
    let reply = within(read_to_close(&mut stream)).await;
    (reply, start.elapsed())
}

fn assert_in_time(took: Duration) {
    assert!(took >= SHORT - Duration::from_millis(20), "cut too early: {took:?}");
    assert!(took < SHORT + Duration::from_secs(4), "cut too late: {took:?}");
}

#[tokio::test]
async fn a_slow_head_is_answered_408_and_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) = cut(limits, "GET /mcp HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_slow_head_after_a_good_request_is_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) =
        cut(limits, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHo").await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply:?}");
    assert!(reply.contains("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_half_preface_is_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) = cut(limits, "PRI * HT").await;
    assert_eq!(reply, "");
    assert_in_time(took);
}

#[tokio::test]
async fn a_head_of_one_byte_at_a_time_gets_no_more_time() {
    let gate = Gate::open(Limits { head: SHORT, ..limits() });
    let (mut reader, mut writer) = gate.connect().await.into_split();
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"P").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let reply = within(read_to_close(&mut reader)).await;
    dripping.abort();
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(start.elapsed());
}

#[tokio::test]
async fn a_pausing_body_is_refused() {
    let limits = Limits { body_pause: SHORT, ..limits() };
    let (reply, took) =
        cut(limits, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_dripping_body_is_refused() {
    let gate = Gate::open(Limits { body: SHORT, ..limits() });
    let (mut reader, mut writer) = gate.connect().await.into_split();
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        let head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut sent = writer.write_all(head).await;
        while sent.is_ok() {
            sent = writer.write_all(b"1\r\na\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let reply = within(read_to_close(&mut reader)).await;
    dripping.abort();
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(start.elapsed());
    assert_eq!(gate.seen(), []);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    for bytes in ["", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (_, took) = cut(Limits { keepalive: SHORT, ..limits() }, bytes).await;
        assert_in_time(took);
    }
}

#[tokio::test]
async fn a_connection_in_use_is_not_idle() {
    let keepalive = SHORT * 4;
    let gate = Gate::open(Limits { keepalive, ..limits() });
    let mut stream = gate.connect().await;
    let start = Instant::now();
    while start.elapsed() < keepalive * 2 {
        stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        read_until(&mut stream, "served").await;
        tokio::time::sleep(keepalive / 12).await;
    }
}

#[tokio::test]
async fn a_reply_in_progress_is_not_idle_nor_slow() {
    let short = SHORT * 4;
    let short =
        Limits { keepalive: short, head: short, body: short, body_pause: short, ..limits() };
    let gate = Gate::open(short);
    let mut stream = gate.connect().await;
    // The next head is already on its way: its time starts when the reply has ended.
    let both = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n";
    stream.write_all(both).await.expect("sent");
    tokio::time::sleep(SHORT * 6).await;
    gate.recorder.release.notify_one();
    read_until(&mut stream, "slow").await;
    stream.write_all(b"Host: a\r\n\r\n").await.expect("sent");
    read_until(&mut stream, "served").await;
}

#[tokio::test]
async fn waiting_for_one_body_is_over_when_the_next_head_begins() {
    let short = SHORT * 2;
    let limits = Limits { body: short, body_pause: short, write_stall: short, ..limits() };
    let gate = Gate::open(limits);
    let mut stream = gate.connect().await;
    let start = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na";
    stream.write_all(start).await.expect("sent");
    tokio::time::sleep(SHORT / 3).await;
    stream.write_all(b"bGET /b HTTP/1.1\r\n").await.expect("sent");
    tokio::time::sleep(short * 3).await;
    gate.recorder.release.notify_one();
    read_until(&mut stream, "slow").await;
    stream.write_all(b"Host: a\r\n\r\n").await.expect("sent");
    read_until(&mut stream, "served").await;
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let gate = Gate::open(limits());
    let (mut reader, mut writer) = gate.connect().await.into_split();
    let sending = tokio::spawn(async move {
        let head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n";
        let mut sent = writer.write_all(head).await;
        for _ in 0..100 {
            if sent.is_ok() {
                sent = writer.write_all(&[b'x'; 1024]).await;
            }
        }
        writer
    });
    let reply = within(read_to_close(&mut reader)).await;
    assert!(reply.starts_with("HTTP/1.1 413") && reply.ends_with("refused"), "{reply:?}");
    drop(within(sending).await);
    until(|| gate.control.counters.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    let gate = Gate::open(Limits { write_stall: SHORT, ..limits() });
    let mut stream = gate.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    until(|| gate.control.counters.accepted() == 1).await;
    until(|| gate.control.counters.open() == 0).await;
    assert_eq!(gate.seen().len(), 1);
}

#[tokio::test]
async fn connections_over_the_cap_are_closed_and_counted() {
    let gate = Gate::open(Limits { connections_max: 2, ..limits() });
    let first = gate.connect().await;
    let second = gate.connect().await;
    until(|| gate.control.counters.open() == 2).await;
    let mut third = gate.connect().await;
    assert_eq!(within(read_to_close(&mut third)).await, "");
    assert_eq!(gate.control.counters.refused(), 1);
    drop((first, second));
    until(|| gate.control.counters.open() == 0).await;
    assert!(gate.is_serving().await);
    assert_eq!(gate.control.counters.accepted(), 3);
}

/// Clock ticks (10 ms) of CPU this process has used. The file is open: soon no other can be.
fn ticks(stat: &std::fs::File) -> u64 {
    let mut buffer = [0; 1024];
    let read = stat.read_at(&mut buffer, 0).expect("Linux");
    let text = String::from_utf8_lossy(&buffer[..read]);
    let after_name = text.rsplit_once(") ").expect("a name").1;
    let field = |at| after_name.split(' ').nth(at).and_then(|f| f.parse::<u64>().ok());
    field(11).expect("utime") + field(12).expect("stime")
}

/// Runs in a process of its own, which may open few files.
async fn run_out_of_files() {
    let gate = Gate::open(limits());
    let stat = std::fs::File::open("/proc/self/stat").expect("Linux");
    let mut clients = Vec::new();
    while let Ok(client) = std::net::TcpStream::connect(gate.address) {
        // Without a pause: the kernel connects them, and none is left to accept them with.
        clients.push(client);
    }
    let before = ticks(&stat);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ticks(&stat) - before < 20, "the accept loop is busy");
    let waiting = gate.control.counters.accepted();
    assert!(waiting < clients.len() as u64, "accepting never failed");
    clients.clear();
    assert!(gate.is_serving().await);
}

#[test]
fn running_out_of_file_descriptors_pauses_accepting_and_recovers() {
    const NAME: &str = "slowness::running_out_of_file_descriptors_pauses_accepting_and_recovers";
    if std::env::var_os("TOLLGATE_TEST_FEW_FILES").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(run_out_of_files());
    }
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().expect("this program"))
        .arg(NAME)
        .env("TOLLGATE_TEST_FEW_FILES", "1")
        .status();
    assert!(status.expect("a shell").success());
}

#[tokio::test]
async fn a_port_in_use_is_explained() {
    let gate = Gate::open(limits());
    let error = tollgate_gate::listen::bind(gate.address).expect_err("the port is taken");
    assert!(error.to_string().contains("the port is in use"), "{error}");
}
