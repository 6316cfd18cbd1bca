/* test_origin.c - a request's container, with folders of the test's own in place of /proc and the control
 * groups.  The peer of the Unix socket is this process. */
#include "agent/origin/origin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/temp_dir.h"
#include "support/test.h"

#define ID_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define ID_C "00000000111111112222222233333333444444445555555566666666777777aa"
#define POD  "75a2b6d5-3949-4afb-ad0d-92ff0674e759"

static struct {
    char dir[128], proc[192], cgroups[192], socket[192];
    _Atomic uint64_t now_mono_ns;
    origin *o;
    http_server *http;
    http_route route;
    uint16_t port;
} f;

static raw_answer answer; /* large */

static uint64_t read_mono(void *user)
{
    (void)user;
    return f.now_mono_ns;
}

static const sonde_clock test_clock = { .mono_ns = read_mono };

static http_result tell(void *user, http_request *request, http_response *response)
{
    container_id room;

    (void)user;
    sonde_buf_append_str(&response->body, origin_container_id(f.o, request, room));
    sonde_buf_append_byte(&response->body, '.');
    return HTTP_DONE;
}

static void make_folder(const char *fmt, ...) SONDE_PRINTF(1, 2);
static void make_folder(const char *fmt, ...)
{
    char path[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, args);
    va_end(args);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void write_cgroup(const char *text)
{
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%d/cgroup", f.proc, (int)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    http_listener listeners[2] = { { .is_unix = false }, { .is_unix = true } };

    (void)state;
    memset(&f, 0, sizeof(f));
    f.now_mono_ns = 5 * ORIGIN_REMEMBER_NS;
    temp_dir_make(f.dir, sizeof(f.dir));
    (void)snprintf(f.proc, sizeof(f.proc), "%s/proc", f.dir);
    (void)snprintf(f.cgroups, sizeof(f.cgroups), "%s/cgroup", f.dir);
    (void)snprintf(f.socket, sizeof(f.socket), "%s/s", f.dir);
    make_folder("%s", f.proc);
    make_folder("%s", f.cgroups);
    make_folder("%s/%d", f.proc, (int)getpid());
    write_cgroup("0::/system.slice/x.service\n");
    assert_status(
        origin_open(&(origin_options){ .proc = f.proc, .cgroups = f.cgroups, .clock = &test_clock },
                    &f.o),
        SONDE_OK);
    f.route = (http_route){ .path = "/*", .handle = tell, .max_body_bytes = 100 };
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listeners[0].fd, NULL), SONDE_OK);
    f.port = sonde_local_port(listeners[0].fd);
    assert_status(sonde_listen_unix(f.socket, 0700, &listeners[1].fd, NULL), SONDE_OK);
    assert_status(http_server_open(
                      &(http_server_options){ .routes = &f.route, .routes_len = 1, .threads = 1 },
                      listeners, 2, &f.http, NULL),
                  SONDE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_close(f.http, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    origin_close(f.o);
    temp_dir_remove(f.dir);
    return 0;
}

static void expect(const char *label, bool over_unix, const char *headers, const char *want)
{
    int fd = over_unix ? raw_connect_unix(f.socket) : raw_connect(f.port);
    char head[2048];

    (void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    raw_send(fd, head);
    raw_read_answer(fd, &answer);
    (void)close(fd);
    if (answer.body_len != strlen(want) + 1 || memcmp(answer.body, want, strlen(want)) != 0)
        fail_msg("%s: got %s, want %s.", label, answer.body, want);
}

static void test_what_the_head_states_comes_first(void **state)
{
    (void)state;
    write_cgroup("0::/docker/" ID_A "\n");
    expect("entity", true, "Datadog-Entity-ID: ci-abc\r\nDatadog-Container-ID: def\r\n", "abc");
    expect("container", true, "Datadog-Container-ID: def\r\n", "def");
    expect("an inode says less than an id", true,
           "Datadog-Entity-ID: in-1\r\nDatadog-Container-ID: def\r\n", "def");
    expect("neither", false, "", "");
}

static void test_the_peer_of_a_unix_socket_tells_its_container(void **state)
{
    (void)state;
    write_cgroup("12:cpu:/docker/" ID_A "\n0::/docker/" ID_A "\n");
    expect("over TCP nobody knows", false, "", "");
    expect("over the socket", true, "", ID_A);
    write_cgroup("0::/docker/" ID_B "\n");
    expect("remembered", true, "", ID_A);
    f.now_mono_ns += ORIGIN_REMEMBER_NS;
    expect("looked up again", true, "", ID_B);
}

static void test_an_inode_is_found_in_the_tree(void **state)
{
    char path[512], header[128];
    struct stat st;

    (void)state;
    make_folder("%s/system.slice", f.cgroups);
    make_folder("%s/system.slice/docker-" ID_A ".scope", f.cgroups);
    make_folder("%s/system.slice/plain", f.cgroups);
    (void)snprintf(path, sizeof(path), "%s/system.slice/docker-" ID_A ".scope", f.cgroups);
    assert_int_equal(stat(path, &st), 0);
    (void)snprintf(header, sizeof(header), "Datadog-Entity-ID: in-%llu\r\n",
                   (unsigned long long)st.st_ino);
    expect("its inode", false, header, ID_A);
    expect("another inode, too soon after the walk before", false, "Datadog-Entity-ID: in-1\r\n",
           "");
    f.now_mono_ns += ORIGIN_WALK_PAUSE_NS;
    (void)snprintf(path, sizeof(path), "%s/system.slice/plain", f.cgroups);
    assert_int_equal(stat(path, &st), 0);
    (void)snprintf(header, sizeof(header), "Datadog-Entity-ID: in-%llu\r\n",
                   (unsigned long long)st.st_ino);
    expect("no container", false, header, "");
}

static void test_a_pod_with_one_container_names_it(void **state)
{
    static const char header[] = "Datadog-External-Env: it-false,cn-web,pu-" POD "\r\n";

    (void)state;
    make_folder("%s/kubepods", f.cgroups);
    make_folder("%s/kubepods/pod" POD, f.cgroups);
    make_folder("%s/kubepods/pod" POD "/" ID_A, f.cgroups);
    make_folder("%s/kubepods/" ID_B, f.cgroups);
    expect("one", false, header, ID_A);
    make_folder("%s/kubepods/pod" POD "/" ID_C, f.cgroups);
    f.now_mono_ns += ORIGIN_REMEMBER_NS;
    expect("several: nobody knows which", false, header, "");
}

static void test_static_tags_are_every_containers(void **state)
{
    sonde_str items[] = { SONDE_STR("kube_namespace:shop"), SONDE_STR("image_name:x"),
                          SONDE_STR("short_image:web"), SONDE_STR("service:api"),
                          SONDE_STR("bad:a\r\nb\nc\rd") };
    config_list tags = { items, 5 };
    origin_tags_text room;
    origin *o = NULL;

    (void)state;
    assert_status(origin_open(&(origin_options){ .container_tags = &tags }, &o), SONDE_OK);
    assert_true(sonde_str_eq(origin_tags(o, SONDE_STR("abc"), room),
                             SONDE_STR("kube_namespace:shop,image_name:x,short_image:web,"
                                       "service:api,bad:a_b_c_d")));
    assert_string_equal(origin_tags_hash(o, SONDE_STR("abc")),
                        "9d330eef707f70878c8622b37c41100785b0aeed2548522f7c363c9ff2662847");
    assert_int_equal(origin_tags(o, SONDE_STR(""), room).len, 0);
    assert_null(origin_tags_hash(o, SONDE_STR("")));
    assert_null(origin_tags_hash(f.o, SONDE_STR("abc")));
    assert_int_equal(origin_tags(NULL, SONDE_STR("abc"), room).len, 0);
    origin_close(o);
}

static void test_what_has_the_form_of_an_id_is_a_tag(void **state)
{
    static const struct {
        const char *container, *tags, *without; /* without: none are configured */
    } rows[] = {
        { ID_A, "a:b,container_id:" ID_A, "container_id:" ID_A },
        { POD, "a:b,container_id:" POD, "container_id:" POD },
        { "34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
          "a:b,container_id:34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
          "container_id:34dc0b5e626f2c5c4c5170e34b10e765-1234567890" },
        { "web", "a:b", "" },
        { "x,service:" ID_A, "a:b", "" },
        { "", "", "" },
    };
    sonde_str items[] = { SONDE_STR("a:b") };
    config_list tags = { items, 1 };
    origin_tags_text room;
    origin *o = NULL;

    (void)state;
    assert_status(origin_open(&(origin_options){ .container_tags = &tags }, &o), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_str container = sonde_str_from(rows[i].container);

        if (!sonde_str_eq(origin_tags(o, container, room), sonde_str_from(rows[i].tags)) ||
            !sonde_str_eq(origin_tags(f.o, container, room), sonde_str_from(rows[i].without)))
            fail_msg("%s", rows[i].container);
    }
    assert_null(origin_tags_hash(f.o, SONDE_STR(ID_A)));
    origin_close(o);
}

static void test_the_most_tags_find_room(void **state)
{
    static char many[ORIGIN_TAGS_MAX - 1];
    sonde_str items[] = { { many, sizeof(many) } };
    config_list tags = { items, 1 };
    origin_tags_text room;
    origin *o = NULL;

    (void)state;
    memset(many, 'a', sizeof(many));
    assert_status(origin_open(&(origin_options){ .container_tags = &tags }, &o), SONDE_OK);
    assert_int_equal(origin_tags(o, SONDE_STR(ID_A), room).len,
                     sizeof(many) + strlen(",container_id:" ID_A));
    origin_close(o);
}

static sonde_status attempt_open(void *user)
{
    origin *o = NULL;
    sonde_status status = origin_open(&(origin_options){ .proc = "/proc" }, &o);

    (void)user;
    origin_close(o);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(attempt_open, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_the_head_states_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_peer_of_a_unix_socket_tells_its_container, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_inode_is_found_in_the_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pod_with_one_container_names_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_tags_are_every_containers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_has_the_form_of_an_id_is_a_tag, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_most_tags_find_room, setup, teardown),
        cmocka_unit_test(test_opening_copes_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
