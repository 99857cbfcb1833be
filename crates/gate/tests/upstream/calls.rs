//! What goes out, what comes back, and what becomes of the connection.

use crate::stage::{PATIENT, Stage, build, call, ok, only, post, send, settings, text, until};
use http_body::Body;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tollgate_core::bounds::UPSTREAM_POOL_IDLE_MILLIS;
use tollgate_core::ids::Secret;
use tollgate_gate::upstream::Deadlines;

#[tokio::test]
async fn request_carries_what_only_the_gate_says() {
    let stage = Stage::answering(ok("pong")).await;
    let mut settings = settings(&[format!("{}?team=a%20b", stage.url())]);
    settings.headers = vec![("Authorization".into(), Secret::new("Bearer abc".into()))];
    let mut request = post("ping");
    for (name, value) in [("host", "evil"), ("content-length", "3"), ("accept-encoding", "gzip")] {
        request.headers.add(&http::HeaderName::from_static(name), &value.parse().unwrap());
    }
    let endpoint = build(settings).pick().unwrap();
    assert_eq!(text(endpoint.send(request, PATIENT).await.unwrap()).await.unwrap(), "pong");
    let seen = stage.requests().remove(0);
    let mut lines: Vec<_> = seen.split("\r\n").collect();
    lines[1..5].sort_unstable();
    let host = format!("host: {}", stage.address);
    let wanted = [
        "POST /mcp?team=a%20b HTTP/1.1",
        "accept-encoding: identity",
        "authorization: Bearer abc",
        "content-length: 4",
        &host,
        "",
        "ping",
    ];
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn connection_is_reused_after_a_complete_reply() {
    for answer in [
        ok("pong"),
        ok(&"x".repeat(64 * 1024)),
        "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!".to_owned(),
    ] {
        let stage = Stage::answering(answer.clone()).await;
        let endpoint = only(&stage);
        for _ in 0..5 {
            call(&endpoint, "ping").await.unwrap();
        }
        assert_eq!(
            (stage.accepts(), endpoint.pooled(), endpoint.in_flight()),
            (1, 1, 0),
            "{answer:.60}"
        );
    }
}

#[tokio::test]
async fn reply_of_known_length_gives_its_connection_back_with_the_last_byte() {
    let stage = Stage::answering(ok("pong")).await;
    let endpoint = only(&stage);
    let mut reply = send(&endpoint, "ping").await.unwrap();
    assert_eq!(reply.body.size_hint().exact(), Some(4));
    reply.body.frame().await.unwrap().unwrap();
    assert!(reply.body.is_end_stream());
    assert_eq!(endpoint.pooled(), 1);
}

#[tokio::test]
async fn connection_is_not_kept_where_the_upstream_closes_it() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\npong",
        "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\npong",
    ] {
        let stage = Stage::answering(answer).await;
        let endpoint = only(&stage);
        for _ in 0..2 {
            assert_eq!(call(&endpoint, "ping").await.unwrap(), "pong");
        }
        assert_eq!((stage.accepts(), endpoint.pooled()), (2, 0), "{answer}");
    }
}

#[tokio::test]
async fn pooled_connection_that_the_upstream_closed_is_replaced() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(ok("pong").as_bytes()).await;
    })
    .await;
    let endpoint = only(&stage);
    for _ in 0..20 {
        assert_eq!(call(&endpoint, "ping").await.unwrap(), "pong");
        // The upstream's close is on its way; let it arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((stage.accepts(), stage.requests().len()), (20, 20));
}

#[tokio::test]
async fn connection_that_spoke_out_of_turn_is_not_used_again() {
    let stage = Stage::answering(format!("{}{}", ok("mine"), ok("poison"))).await;
    let endpoint = only(&stage);
    for _ in 0..3 {
        assert_eq!(call(&endpoint, "ping").await.unwrap(), "mine");
    }
    assert_eq!(stage.accepts(), 3);
}

#[tokio::test]
async fn old_idle_connection_is_not_used() {
    let stage = Stage::answering(ok("pong")).await;
    let endpoint = only(&stage);
    call(&endpoint, "ping").await.unwrap();
    tokio::time::sleep(Duration::from_millis(UPSTREAM_POOL_IDLE_MILLIS)).await;
    call(&endpoint, "ping").await.unwrap();
    assert_eq!((stage.accepts(), endpoint.pooled()), (2, 1));
}

#[tokio::test]
async fn reaper_closes_idle_connections_of_an_unused_upstream() {
    let stage = Stage::answering(ok("pong")).await;
    let upstream = build(settings(&[stage.url()]));
    let endpoint = upstream.pick().unwrap();
    call(&endpoint, "ping").await.unwrap();
    upstream.start_background();
    until("pool empty", || endpoint.pooled() == 0 && stage.closes() == 1).await;
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.await_close().await;
    })
    .await;
    let endpoint = only(&stage);
    let mut exchange = Box::pin(endpoint.send(post("ping"), PATIENT));
    tokio::select! {
        _ = &mut exchange => panic!("nobody answers"),
        () = until("request seen", || stage.requests().len() == 1) => {}
    }
    assert_eq!(endpoint.in_flight(), 1);
    drop(exchange);
    until("closed", || stage.closes() == 1).await;
    assert_eq!((endpoint.in_flight(), endpoint.pooled()), (0, 0));
}

#[tokio::test]
async fn dropping_an_unfinished_body_closes_its_connection() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n!\r\n").await;
        scene.await_close().await;
    })
    .await;
    let endpoint = only(&stage);
    let mut reply = send(&endpoint, "ping").await.unwrap();
    reply.body.frame().await.unwrap().unwrap();
    assert_eq!(endpoint.in_flight(), 1);
    drop(reply);
    until("closed", || stage.closes() == 1).await;
    assert_eq!((endpoint.in_flight(), endpoint.pooled()), (0, 0));
}

#[tokio::test]
async fn frames_that_arrived_together_are_yielded_without_a_pause() {
    let events: String = (0..40).map(|n| format!("11\r\ndata: event {n:>3}\n\n\r\n")).collect();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let stage = Stage::answering(format!("{head}{events}")).await;
    let mut body = send(&only(&stage), "ping").await.unwrap().body;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "data: event   0\n\n".as_bytes().to_vec());
    let mut together = 1;
    std::future::poll_fn(|cx| {
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut body).poll_frame(cx) {
            together += 1;
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(together, 40);
}

#[tokio::test]
async fn silent_event_stream_outlives_the_deadline_of_its_head() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        scene.write(b"4\r\nlate\r\n0\r\n\r\n").await;
        scene.request().await;
    })
    .await;
    let deadlines = Deadlines { first_byte: Duration::from_millis(500), pause: None, total: None };
    let reply = only(&stage).send(post("ping"), deadlines).await.unwrap();
    assert_eq!(text(reply).await.unwrap(), "late");
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let large = "y".repeat(3 * 1024 * 1024);
    let stage = Stage::answering(ok(&large)).await;
    assert_eq!(call(&only(&stage), &large).await.unwrap(), large);
    assert!(stage.requests()[0].ends_with(&large));
}

#[tokio::test]
async fn redirects_are_answers_not_instructions() {
    let stage = Stage::answering(
        "HTTP/1.1 307 R\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let reply = send(&only(&stage), "ping").await.unwrap();
    assert_eq!((reply.status.as_u16(), stage.requests().len()), (307, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_concurrent_calls_get_their_own_replies() {
    let stage = Stage::play(|mut scene| async move {
        while let Some(request) = scene.request().await {
            let body = request.split_once("\r\n\r\n").unwrap().1.to_owned();
            scene.write(ok(&body).as_bytes()).await;
        }
    })
    .await;
    let endpoint = only(&stage);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..50 {
        let endpoint = endpoint.clone();
        callers.spawn(async move {
            for turn in 0..40 {
                let asked = format!("{caller}-{turn}");
                assert_eq!(call(&endpoint, &asked).await.unwrap(), asked);
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert!(stage.accepts() <= 50, "{}", stage.accepts());
    assert_eq!(endpoint.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dribbled_bodies_arrive_whole_on_several_threads() {
    let stage = Stage::play(|mut scene| async move {
        while scene.request().await.is_some() {
            scene.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for piece in ["1\r", "\na\r\n", "2\r\nb", "c\r\n1\r\nd\r\n", "0\r\n", "\r\n"] {
                tokio::task::yield_now().await;
                scene.write(piece.as_bytes()).await;
            }
        }
    })
    .await;
    let endpoint = only(&stage);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let endpoint = endpoint.clone();
        callers.spawn(async move {
            for _ in 0..50 {
                assert_eq!(call(&endpoint, "ping").await.unwrap(), "abcd");
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert!(stage.accepts() <= 40, "{}", stage.accepts());
}

#[tokio::test]
async fn reply_that_comes_before_the_request_is_written_is_read_and_ends_the_connection() {
    let stage = Stage::play(|mut scene| async move {
        let mut head = [0; 64];
        tokio::io::AsyncReadExt::read_exact(&mut scene.stream, &mut head).await.unwrap();
        scene.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge").await;
        // The rest of the request is never read.
        std::future::pending::<()>().await;
    })
    .await;
    let endpoint = only(&stage);
    let reply = send(&endpoint, &"y".repeat(32 * 1024 * 1024)).await.unwrap();
    assert_eq!((reply.status.as_u16(), text(reply).await.unwrap().as_str()), (413, "large"));
    assert_eq!((endpoint.pooled(), endpoint.in_flight()), (0, 0));
}

#[tokio::test]
async fn reply_survives_that_the_upstream_closes_on_a_request_it_did_not_read() {
    let stage = Stage::play(|mut scene| async move {
        let mut head = [0; 64];
        tokio::io::AsyncReadExt::read_exact(&mut scene.stream, &mut head).await.unwrap();
        scene.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge").await;
        tokio::io::AsyncWriteExt::shutdown(&mut scene.stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let reply = send(&only(&stage), &"y".repeat(32 * 1024 * 1024)).await.unwrap();
    assert_eq!((reply.status.as_u16(), text(reply).await.unwrap().as_str()), (413, "large"));
}

#[tokio::test]
async fn body_without_framing_ends_with_the_connection_which_is_not_kept() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(b"HTTP/1.1 200 OK\r\n\r\nfirst ").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        scene.write(b"second").await;
    })
    .await;
    let endpoint = only(&stage);
    for _ in 0..2 {
        assert_eq!(call(&endpoint, "ping").await.unwrap(), "first second");
    }
    assert_eq!((stage.accepts(), endpoint.pooled()), (2, 0));
}

#[tokio::test]
async fn large_bodies_in_chunks_of_any_size_pass_whole() {
    let text: String =
        (0..400_000).map(|n| char::from(b'a' + u8::try_from(n % 23).unwrap())).collect();
    for size in [100, 5_000, 70_000, 300_000] {
        let chunks: String = text
            .as_bytes()
            .chunks(size)
            .map(|chunk| {
                format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
            })
            .collect();
        let stage = Stage::answering(format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        ))
        .await;
        let endpoint = only(&stage);
        for _ in 0..3 {
            assert!(call(&endpoint, "ping").await.unwrap() == text, "chunks of {size}");
        }
        assert_eq!(stage.accepts(), 1);
    }
}
