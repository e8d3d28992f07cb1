// SPDX-License-Identifier: Apache-2.0
// The facets of spoe/plugin.hpp (12.2) over a host of the test's own: what a function throws ends
// where it was called from, what stands for a timer or a watch ends it, on its worker's thread and
// no other, and what outlives its loop does no more. Built with sanitizers, too, by test_facets.py.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <thread>

#include <spoe/plugin.hpp>

#define CHECK(what)                                                                                \
    ((what) ? (void)0                                                                              \
            : (std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what), std::exit(1)))

/* ---- the host ---------------------------------------------------------------------------- */

struct spoe_timer {
    spoe_timer_fn *fn;
    void *arg;
    std::int64_t at = SPOE_TIMER_OFF;
};
struct spoe_watch {
    spoe_watch_fn *fn;
    void *arg;
    std::int32_t fd;
    std::uint32_t events = 0;
};
struct spoe_reload_source {
    spoe_reload_decl decl;
    std::string name;
    std::vector<std::string> paths;
    void *state = nullptr;
};

namespace
{

/* What can be the value of a variable; nothing becomes a bool unasked. */
template <class T, class = void> struct is_value : std::false_type {
};
template <class T>
struct is_value<T,
                std::void_t<decltype(std::declval<spoe::answer>().set(0, "", std::declval<T>()))>>
    : std::true_type {
};
enum verdict { NO, YES };
enum class colour { RED };
static_assert(is_value<bool>() && is_value<int>() && is_value<std::uint64_t>() && is_value<char>());
static_assert(is_value<const char *>() && is_value<char *>() && is_value<char (&)[4]>() &&
              is_value<std::string>() && is_value<std::string &>() &&
              is_value<std::string_view>() && is_value<const spoe_value &>() &&
              is_value<decltype("")>());
static_assert(!is_value<double>() && !is_value<float &>() && !is_value<verdict>() &&
              !is_value<colour>() && !is_value<void *>() && !is_value<int *>() &&
              !is_value<std::nullptr_t>() && !is_value<int std::string::*>());

struct {
    std::thread::id worker = std::this_thread::get_id();
    std::vector<spoe_timer *> timers;
    std::vector<spoe_watch *> watches;
    spoe_reload_source source;
    std::vector<std::string> log;
    std::string health, status;
    std::vector<spoe_status> completed;
    std::vector<std::pair<void (*)(void *), void *>> posted;
    void *data = nullptr;
    std::map<std::size_t, spoe_setting> settings;
    unsigned foreign = 0, triggered = 0;
    spoe_status refuse = SPOE_OK;
    bool has_facets = true, cancelled = false;
} seen;

/* As the host: it looks into what it is given before it knows whose thread it is. */
bool own_thread(const spoe_timer *timer = nullptr, const spoe_watch *watch = nullptr)
{
    CHECK((timer == nullptr || timer->fn != nullptr) && (watch == nullptr || watch->fn != nullptr));
    if (std::this_thread::get_id() == seen.worker)
        return true;
    seen.foreign++;
    return false;
}

template <class T> void forget(std::vector<T *> &all, T *gone)
{
    for (std::size_t i = 0; i < all.size(); i++) {
        if (all[i] == gone) {
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
            delete gone;
            return;
        }
    }
    CHECK(false && "what is freed is there");
}

const spoe_loop loop_table = {
    sizeof(spoe_loop),
    0,
    [](spoe_worker *, spoe_timer_fn *fn, void *arg, spoe_timer **ret) -> spoe_status {
        if (seen.refuse != SPOE_OK || !own_thread())
            return seen.refuse != SPOE_OK ? seen.refuse : SPOE_E_INVAL;
        seen.timers.push_back(*ret = new spoe_timer{fn, arg});
        return SPOE_OK;
    },
    [](spoe_timer *timer, std::int64_t at) -> spoe_status {
        if (!own_thread(timer))
            return SPOE_E_INVAL;
        timer->at = at;
        return SPOE_OK;
    },
    [](spoe_timer *timer) {
        if (own_thread(timer))
            forget(seen.timers, timer);
    },
    [](spoe_worker *, std::int32_t fd, spoe_watch_fn *fn, void *arg,
       spoe_watch **ret) -> spoe_status {
        if (fd < 0 || !own_thread())
            return SPOE_E_INVAL;
        seen.watches.push_back(*ret = new spoe_watch{fn, arg, fd});
        return SPOE_OK;
    },
    [](spoe_watch *watch, std::uint32_t events) -> spoe_status {
        if (!own_thread(nullptr, watch))
            return SPOE_E_INVAL;
        watch->events = events;
        return SPOE_OK;
    },
    [](spoe_watch *watch) {
        if (own_thread(nullptr, watch))
            forget(seen.watches, watch);
    },
};

const spoe_reload reload_table = {
    sizeof(spoe_reload),
    0,
    [](spoe_instance *, const spoe_reload_decl *decl, spoe_reload_source **ret) -> spoe_status {
        if (seen.refuse != SPOE_OK)
            return seen.refuse;
        seen.source.decl = *decl;
        seen.source.name = decl->name;
        seen.source.paths.clear();
        for (std::size_t i = 0; decl->paths[i] != nullptr; i++)
            seen.source.paths.push_back(decl->paths[i]);
        *ret = &seen.source;
        return SPOE_OK;
    },
    [](const spoe_reload_source *source) -> const void * { return source->state; },
    [](spoe_reload_source *) { seen.triggered++; },
    [](const spoe_reload_source *) -> std::int32_t { return seen.cancelled; },
};

const spoe_health health_table = {
    sizeof(spoe_health),
    0,
    [](spoe_instance *, std::int32_t state, spoe_span reason) {
        seen.health = std::to_string(state) + " " + std::string(spoe::view(reason));
    },
    [](spoe_instance *, spoe_span text) { seen.status = spoe::view(text); },
};

spoe_host make_host()
{
    spoe_host h = {};
    h.size = sizeof h;
    h.get_extension = [](spoe_instance *, const char *id) -> const void * {
        const std::string name = seen.has_facets ? id : "";
        return name == SPOE_LOOP_1     ? static_cast<const void *>(&loop_table)
               : name == SPOE_RELOAD_1 ? static_cast<const void *>(&reload_table)
               : name == SPOE_HEALTH_1 ? static_cast<const void *>(&health_table)
                                       : nullptr;
    };
    h.log_enabled = [](spoe_instance *, std::int32_t) -> std::int32_t { return 1; };
    h.log = [](spoe_instance *, spoe_request *, std::int32_t, spoe_span text) {
        seen.log.emplace_back(spoe::view(text));
    };
    h.config_get = [](spoe_config *, std::size_t i) -> const spoe_setting * {
        return &seen.settings[i];
    };
    h.complete = [](spoe_request *, spoe_status status) { seen.completed.push_back(status); };
    h.post = [](spoe_worker *, void (*fn)(void *), void *arg) -> spoe_status {
        if (seen.refuse == SPOE_OK)
            seen.posted.emplace_back(fn, arg);
        return seen.refuse;
    };
    h.request_set_data = [](spoe_request *, void *data) -> spoe_status {
        seen.data = data;
        return SPOE_OK;
    };
    h.request_data = [](spoe_request *) -> void * { return seen.data; };
    h.now_mono_ns = []() -> std::int64_t { return 1000; };
    h.request_commit = [](spoe_request *) -> spoe_status { return SPOE_E_STALE; };
    h.config_timeout_ns = [](spoe_config *, std::size_t message) -> std::int64_t {
        return message == 0 ? 20000000 : -1;
    };
    return h;
}
const spoe_host table = make_host();
const spoe::host host(&table, nullptr);

bool logged(const std::string &text)
{
    const bool found = !seen.log.empty() && seen.log.back() == text;
    if (!found)
        std::fprintf(stderr, "last line: %s\n", seen.log.empty() ? "" : seen.log.back().c_str());
    seen.log.clear();
    return found;
}

/* It is time for whatever was set; @return how many were called */
unsigned all_due()
{
    unsigned n = 0;
    const std::vector<spoe_timer *> due = seen.timers;
    for (spoe_timer *timer : due) {
        if (std::exchange(timer->at, SPOE_TIMER_OFF) != SPOE_TIMER_OFF) {
            timer->fn(timer->arg);
            n++;
        }
    }
    return n;
}

spoe::pending ask()
{
    return spoe::pending(host, reinterpret_cast<spoe_request *>(&seen));
}

template <class Fn> spoe_status status_of(Fn &&fn)
{
    try {
        fn();
    } catch (const spoe::error &e) {
        return e.status();
    }
    return SPOE_OK;
}

/* ---- the loop ---------------------------------------------------------------------------- */

void what_is_thrown_stays_inside()
{
    spoe::loop on(host, nullptr);
    spoe::timer timer(on, [] { throw std::runtime_error("of a timer"); });
    spoe::watch watch(on, 5, [](std::uint32_t) { throw 7; });

    CHECK(timer.in(std::chrono::nanoseconds(5)) == SPOE_OK && seen.timers[0]->at == 1005);
    CHECK(all_due() == 1 && logged("a timer's function: of a timer"));
    CHECK(timer.at(1) == SPOE_OK && all_due() == 1 && logged("a timer's function: of a timer"));
    CHECK(watch.events(SPOE_LOOP_READ) == SPOE_OK);
    seen.watches[0]->fn(seen.watches[0]->arg, 5, SPOE_LOOP_READ);
    CHECK(logged("a watch's function: something was thrown that is no std::exception"));
    CHECK(seen.watches[0]->events == 0); // it would come at once again
    CHECK(watch.events(SPOE_LOOP_WRITE) == SPOE_OK && seen.watches[0]->events == SPOE_LOOP_WRITE);
    on.once(std::chrono::nanoseconds(0), [req = ask()] { throw std::bad_alloc(); });
    CHECK(all_due() == 1 && logged("a timer's function: out of memory"));
    CHECK(seen.completed == std::vector<spoe_status>{SPOE_E_INTERNAL} && seen.timers.size() == 1);
    seen.completed.clear();
}

void they_end_with_their_objects()
{
    spoe::loop on(host, nullptr);
    {
        spoe::timer timer(on, [] {}), other;
        spoe::watch watch(on, 0, [] {});
        CHECK(timer && !other && other.at(1) == SPOE_E_INVAL);
        CHECK(seen.timers.size() == 1 && seen.watches.size() == 1);
        other = std::move(timer);
        CHECK(!timer && other && other.at(1) == SPOE_OK && other.off() == SPOE_OK);
        CHECK(timer.at(1) == SPOE_E_INVAL && all_due() == 0);
        other = spoe::timer(on, [] {});
        CHECK(seen.timers.size() == 1);
    }
    CHECK(seen.timers.empty() && seen.watches.empty());
}

void a_timer_may_end_itself()
{
    spoe::loop on(host, nullptr);
    auto alive = std::make_shared<int>(1);
    spoe::timer timer;

    timer = spoe::timer(on, [&timer, alive] {
        timer.reset();
        CHECK(*alive == 1 && alive.use_count() == 2); // until it has returned
    });
    CHECK(timer.at(1) == SPOE_OK && all_due() == 1);
    CHECK(alive.use_count() == 1 && seen.timers.empty() && !timer);
}

void once_is_once()
{
    spoe::loop on(host, nullptr);
    unsigned n = 0;

    on.once(std::chrono::hours(1000000), [&n, req = ask()]() mutable {
        n++;
        req.complete();
    });
    on.once(std::chrono::nanoseconds::max(), [] {});
    CHECK(seen.timers.size() == 2 && seen.timers[1]->at == SPOE_TIMER_OFF - 1);
    CHECK(all_due() == 2 && all_due() == 0 && n == 1 && seen.timers.empty());
    CHECK(seen.completed == std::vector<spoe_status>{SPOE_OK});
    seen.completed.clear();
}

void what_outlives_its_loop_does_no_more()
{
    auto on = std::make_unique<spoe::loop>(host, nullptr);
    spoe::timer timer(*on, [req = ask()] {});
    spoe::watch watch(*on, 3, [] {});

    on->once(std::chrono::nanoseconds(1), [req = ask()] {});
    CHECK(timer.at(1) == SPOE_OK);
    on.reset();
    CHECK(seen.timers.empty() && seen.watches.empty());
    CHECK(seen.completed.size() == 2); // what their functions held
    CHECK(timer.at(1) == SPOE_E_STOPPING && timer.in(std::chrono::hours(1)) == SPOE_E_STOPPING);
    CHECK(watch.events(SPOE_LOOP_READ) == SPOE_E_STOPPING);
    std::thread([moved = std::move(timer)] {}).join(); // anybody may destroy it
    CHECK(seen.foreign == 0);
    seen.completed.clear();
}

void another_thread_changes_nothing()
{
    unsigned n = 0;
    {
        spoe::loop on(host, nullptr);
        spoe::timer timer(on, [&n] { n++; });

        CHECK(timer.at(1) == SPOE_OK);
        std::thread([&] {
            CHECK(timer.off() == SPOE_E_INVAL && seen.foreign == 1);
            CHECK(status_of([&] { spoe::timer other(on, [] {}); }) == SPOE_E_INVAL);
            const spoe::timer gone(std::move(timer));
        }).join();
        CHECK(seen.foreign == 3 && seen.timers.size() == 1);
        CHECK(all_due() == 1 && n == 0); // nobody stands for it
        CHECK(seen.timers.empty());

        spoe::watch watch(on, 3, [&n] { n++; });
        CHECK(watch.events(SPOE_LOOP_READ) == SPOE_OK);
        std::thread([&] { watch.reset(); }).join();
        CHECK(seen.foreign == 4 && seen.watches.size() == 1);
        seen.watches[0]->fn(seen.watches[0]->arg, 3, SPOE_LOOP_READ);
        CHECK(n == 0 && seen.watches.empty()); // else it would be ready again at once, for ever
    }
    seen.foreign = 0;
}

/* Another thread uses one before the worker ends it, or after, and never meanwhile: ThreadSanitizer
 * watches, for which the relaxed flag orders nothing. */
template <class Make, class Use> void used_and_ended(Make &&make, Use &&use)
{
    std::atomic<bool> used{false};
    auto on = std::make_unique<spoe::loop>(host, nullptr);
    auto it = make(*on);
    std::thread other([&] {
        use(it);
        used.store(true, std::memory_order_relaxed);
    });

    while (!used.load(std::memory_order_relaxed))
        std::this_thread::yield();
    on.reset();
    other.join();
    CHECK(seen.foreign == 1 && seen.timers.empty() && seen.watches.empty());
    seen.foreign = 0;
}

void another_thread_does_not_meet_the_end()
{
    const auto timer = [](spoe::loop &on) { return spoe::timer(on, [] {}); };
    const auto watch = [](spoe::loop &on) { return spoe::watch(on, 1, [] {}); };

    used_and_ended(timer, [](auto &it) { CHECK(it.off() == SPOE_E_INVAL); });
    used_and_ended(timer, [](auto &it) { CHECK(it.in(std::chrono::seconds(1)) == SPOE_E_INVAL); });
    used_and_ended(timer, [](auto &it) { it.reset(); });
    used_and_ended(watch, [](auto &it) { CHECK(it.events(SPOE_LOOP_READ) == SPOE_E_INVAL); });
    used_and_ended(watch, [](auto &it) { it.reset(); });
}

void what_the_loop_refuses_is_thrown()
{
    spoe::loop on(host, nullptr);

    CHECK(status_of([&] { spoe::watch watch(on, -1, [] {}); }) == SPOE_E_INVAL);
    seen.refuse = SPOE_E_LIMIT;
    CHECK(status_of([&] { spoe::timer timer(on, [] {}); }) == SPOE_E_LIMIT);
    CHECK(status_of([&] { on.once(std::chrono::seconds(1), [] {}); }) == SPOE_E_LIMIT);
    seen.refuse = SPOE_OK;
    CHECK(seen.timers.empty() && seen.watches.empty());
}

/* ---- the mailbox ------------------------------------------------------------------------- */

/* The worker reads what was posted. */
void read_all()
{
    for (const auto &[fn, arg] : std::exchange(seen.posted, {}))
        fn(arg);
}

struct throws_when_destroyed {
    throws_when_destroyed() = default;
    throws_when_destroyed(throws_when_destroyed &&other) noexcept
        : live(std::exchange(other.live, false))
    {
    }
    ~throws_when_destroyed() noexcept(false)
    {
        if (live)
            throw std::runtime_error("of a letter");
    }
    void operator()() const
    {
    }
    bool live = true;
};
struct throws_when_copied {
    throws_when_copied() = default;
    throws_when_copied(const throws_when_copied &)
    {
        throw spoe::error(SPOE_E_LIMIT, "of a copy");
    }
    void operator()() const
    {
    }
};

void what_is_posted_is_called_once()
{
    const spoe::loop on(host, nullptr);
    const spoe::mailbox mailbox = on.mailbox();
    auto alive = std::make_shared<int>(0);

    std::thread([&alive, mailbox] { // on any thread
        CHECK(mailbox.post([alive] { ++*alive; }) == SPOE_OK);
    })
        .join();
    CHECK(*alive == 0 && alive.use_count() == 2);
    read_all();
    CHECK(*alive == 1 && alive.use_count() == 1);

    CHECK(mailbox.post([req = ask()]() mutable { req.complete(); }) == SPOE_OK);
    read_all();
    CHECK(seen.completed == std::vector<spoe_status>{SPOE_OK});
    CHECK(mailbox.post([req = ask()] { throw std::runtime_error("lost"); }) == SPOE_OK);
    read_all();
    CHECK(seen.completed.back() == SPOE_E_INTERNAL && logged("a posted function: lost"));
    seen.completed.clear();
}

void what_is_not_posted_is_destroyed()
{
    const spoe::mailbox mailbox(host, nullptr);
    const throws_when_copied copied;
    unsigned n = 0;

    seen.refuse = SPOE_E_STOPPING;
    CHECK(mailbox.post([&n, req = ask()] { n++; }) == SPOE_E_STOPPING);
    CHECK(n == 0 && seen.completed == std::vector<spoe_status>{SPOE_E_INTERNAL});
    seen.refuse = SPOE_OK;
    CHECK(mailbox.post(copied) == SPOE_E_LIMIT && logged("post: of a copy") && seen.posted.empty());
    CHECK(mailbox.post(throws_when_destroyed()) == SPOE_OK);
    read_all();
    CHECK(logged("a posted function: of a letter"));
    seen.completed.clear();
}

void data_of_a_request()
{
    int mine = 0;
    spoe::pending req = ask();

    CHECK(req.set_data(&mine) == SPOE_OK && host.data(req.raw()) == &mine);
    req.complete();
    spoe_host old = table;
    old.size = offsetof(spoe_host, config_effective);
    const spoe::host of_1_0(&old, nullptr);
    CHECK(of_1_0.data(nullptr) == nullptr);
    CHECK(spoe::request(of_1_0, nullptr).set_data(&mine) == SPOE_E_UNSUPPORTED);
    seen.completed.clear();
}

/* ---- reload and health ------------------------------------------------------------------- */

struct data {
    static inline int alive = 0;
    explicit data(int n) : number(n)
    {
        alive++;
    }
    ~data() noexcept(false)
    {
        alive--;
        if (number == 13)
            throw std::runtime_error("of a destructor");
    }
    const int number;
};

spoe_status build(void **state)
{
    *state = nullptr;
    return seen.source.decl.build(seen.source.decl.arg, &seen.source, state);
}

void data_that_is_reloaded()
{
    int next = 1;
    void *state = nullptr;
    const spoe::source from = {"numbers", {"/a", "/b"}, true, {}, std::chrono::seconds(7)};
    spoe::detail::kept kept;
    const spoe::config cfg(host, nullptr, &kept);
    const spoe::reload<const data> numbers(cfg, from, [&](const spoe::building &b) {
        if (b.cancelled())
            throw spoe::error(SPOE_E_STOPPING, "it ends");
        if (next < 0)
            throw std::runtime_error("line 3: broken");
        return next == 0 ? nullptr : std::make_unique<const data>(next);
    });

    CHECK(seen.source.name == "numbers" && seen.source.paths.size() == 2);
    CHECK(seen.source.decl.flags == SPOE_RELOAD_REQUIRED);
    CHECK(seen.source.decl.poll_ns == 0 && seen.source.decl.every_ns == 7000000000);
    CHECK(numbers.get() == nullptr);
    CHECK(build(&seen.source.state) == SPOE_OK && numbers.get()->number == 1);
    next = 0;
    CHECK(build(&state) == SPOE_OK && state == nullptr);
    next = -1;
    CHECK(build(&state) == SPOE_E_INTERNAL && state == nullptr && logged("build: line 3: broken"));
    seen.cancelled = true;
    CHECK(build(&state) == SPOE_E_STOPPING && logged("build: it ends"));
    next = 5;
    CHECK(numbers.try_build()->number == 5); // the plugin's own: no host is asked whether it ends
    seen.cancelled = false;
    next = 13;
    CHECK(build(&state) == SPOE_OK);
    seen.source.decl.release(seen.source.decl.arg, state);
    CHECK(logged("release: of a destructor"));
    seen.source.decl.release(seen.source.decl.arg, std::exchange(seen.source.state, nullptr));
    CHECK(data::alive == 0 && numbers.get() == nullptr);
    numbers.trigger();
    CHECK(seen.triggered == 1);
    seen.refuse = SPOE_E_LIMIT;
    CHECK(status_of([&] { spoe::reload<data> more(cfg, from, nullptr); }) == SPOE_E_LIMIT);
    seen.refuse = SPOE_OK;
    CHECK(status_of([&] { spoe::reload<data> late(spoe::config(host, nullptr), from, nullptr); }) ==
          SPOE_E_UNSUPPORTED); // as in reconfigure()
}

void how_it_is()
{
    const spoe::health health(host);

    CHECK(health);
    health.degraded("old data");
    CHECK(seen.health == "1 old data");
    health.down("");
    CHECK(seen.health == "2 ");
    health.ready();
    health.status("7 things");
    CHECK(seen.health == "0 " && seen.status == "7 things");
}

/* ---- a host of 1.0, and options ---------------------------------------------------------- */

void a_host_without_them()
{
    seen.has_facets = false;
    spoe::loop on(host, nullptr);
    const spoe::health health(host);

    CHECK(!health);
    health.down("nobody hears");
    health.status("it");
    CHECK(seen.health == "0 ");
    CHECK(status_of([&] { spoe::timer timer(on, [] {}); }) == SPOE_E_UNSUPPORTED);
    CHECK(status_of([&] { on.once(std::chrono::seconds(1), [] {}); }) == SPOE_E_UNSUPPORTED);
    CHECK(status_of([&] {
              spoe::reload<int> data(spoe::config(host, nullptr), {"a", {}}, nullptr);
          }) == SPOE_E_UNSUPPORTED);
    seen.has_facets = true;

    spoe_host old = table; // shorter: what lies behind its end is not read
    old.size = offsetof(spoe_host, config_effective);
    CHECK(!spoe::config(spoe::host(&old, nullptr), nullptr).timeout(0));
    spoe::request req(spoe::host(&old, nullptr), nullptr);
    CHECK(req.commit() == SPOE_E_UNSUPPORTED);
    CHECK(spoe::request(host, nullptr).commit() == SPOE_E_STALE);
}

void options_by_type()
{
    enum { LIST, ADDRESS, PREFIX, URL, NETWORKS, HOMES, NOTHING };
    const spoe::config cfg(host, nullptr);
    const auto text = [](std::size_t i, const char *s) {
        seen.settings[i].value = spoe_value_str(spoe_str(s));
    };

    text(LIST, "a, b ,c");
    CHECK((cfg.list(LIST) == std::vector<std::string_view>{"a", "b", "c"}));
    CHECK(cfg.list(NOTHING).empty() && cfg.prefixes(NOTHING).empty());
    CHECK(spoe_address_parse(spoe_str("::1"), &seen.settings[ADDRESS].value));
    CHECK(cfg.address(ADDRESS)->type == SPOE_T_IPV6 && cfg.address(ADDRESS)->u.ip6[15] == 1);
    text(PREFIX, "10.0.0.0/8");
    CHECK(cfg.prefix(PREFIX)->bits == 8 && cfg.prefix(PREFIX)->address.u.ip4[0] == 10);
    text(URL, "https://h:8/p");
    CHECK(spoe::view(cfg.url(URL)->host) == "h" && spoe::view(cfg.url(URL)->path) == "/p");
    text(NETWORKS, "192.0.2.0/24, 2001:db8::/32");
    spoe_value inside;
    CHECK(spoe_address_parse(spoe_str("2001:db8::9"), &inside));
    CHECK(cfg.prefixes(NETWORKS).size() == 2 &&
          spoe_prefix_has(&cfg.prefixes(NETWORKS)[1], &inside));
    text(HOMES, "192.0.2.1, ::2");
    CHECK(cfg.addresses(HOMES).size() == 2 && cfg.addresses(HOMES)[1].u.ip6[15] == 2);
    CHECK(!cfg.address(NOTHING) && !cfg.prefix(NOTHING) && !cfg.url(NOTHING));
    CHECK(cfg.timeout(0) == std::chrono::milliseconds(20) && !cfg.timeout(1));
}

/* ---- the plugin -------------------------------------------------------------------------- */

struct thrower {
    thrower(spoe::host, spoe::config)
    {
    }
    ~thrower() noexcept(false)
    {
        throw std::runtime_error("of a plugin");
    }
    struct worker {
        worker(thrower &, spoe::loop &on, std::uint32_t) : loop_(on), timer_(on, [] {})
        {
            on.once(std::chrono::seconds(1), [req = ask()] {});
        }
        ~worker() noexcept(false)
        {
            (void)timer_.at(1);
            throw std::runtime_error("of a worker");
        }
        void handle(spoe::request &, spoe::message)
        {
            throw spoe::error(SPOE_E_LIMIT, "too many");
        }
        spoe::loop &loop_;
        spoe::timer timer_;
    };
};

void a_worker_ends_its_loop()
{
    constexpr spoe_plugin plugin =
        spoe::plugin<thrower>::describe("thrower", "1", "", nullptr, nullptr, nullptr);
    void *inst = nullptr, *wctx = nullptr;
    const spoe_message msg = {};

    CHECK(plugin.configure(&table, nullptr, nullptr, &inst) == SPOE_OK);
    CHECK(plugin.worker_start(inst, nullptr, 0, &wctx) == SPOE_OK && seen.timers.size() == 2);
    CHECK(plugin.handle(wctx, nullptr, &msg) == SPOE_E_LIMIT && logged("handle: too many"));
    plugin.worker_stop(wctx);
    CHECK(logged("worker_stop: of a worker") && seen.timers.empty());
    CHECK(seen.completed.size() == 1);
    plugin.destroy(inst);
    CHECK(logged("destroy: of a plugin"));
    plugin.destroy(nullptr);
    seen.has_facets = false;
    CHECK(plugin.configure(&table, nullptr, nullptr, &inst) == SPOE_OK);
    CHECK(plugin.worker_start(inst, nullptr, 0, &wctx) == SPOE_E_UNSUPPORTED);
    CHECK(logged("worker_start: the host has no spoe.loop/1"));
    plugin.destroy(inst);
    seen.has_facets = true;
}

/* Its source ends before it does. */
struct hasty {
    hasty(spoe::host, spoe::config cfg) : alive(std::make_shared<int>(1))
    {
        const spoe::reload<data> gone(cfg, {"gone", {}}, [held = alive](const spoe::building &) {
            return std::make_unique<data>(*held);
        });
        CHECK(build(&seen.source.state) == SPOE_OK);
    }
    void handle(spoe::request &, spoe::message)
    {
    }
    void check()
    {
        CHECK(alive.use_count() == 1); // the build function is gone, with what it held
    }
    std::shared_ptr<int> alive;
};
static_assert(!std::is_copy_constructible_v<spoe::reload<data>> &&
              !std::is_move_constructible_v<spoe::reload<data>> &&
              !std::is_move_assignable_v<spoe::reload<data>>);

void a_source_may_end_before_its_plugin()
{
    constexpr spoe_plugin plugin =
        spoe::plugin<hasty>::describe("hasty", "1", "", nullptr, nullptr, nullptr);
    void *inst = nullptr, *state = nullptr;

    CHECK(plugin.configure(&table, nullptr, nullptr, &inst) == SPOE_OK && data::alive == 1);
    CHECK(plugin.check(inst) == SPOE_OK);
    CHECK(build(&state) == SPOE_E_INTERNAL && state == nullptr);
    CHECK(logged("build: the spoe::reload of a source has been destroyed"));
    seen.source.decl.release(seen.source.decl.arg, std::exchange(seen.source.state, nullptr));
    CHECK(data::alive == 0);
    plugin.destroy(inst);
}

} // namespace

int main()
{
    what_is_thrown_stays_inside();
    they_end_with_their_objects();
    a_timer_may_end_itself();
    once_is_once();
    what_outlives_its_loop_does_no_more();
    another_thread_changes_nothing();
    another_thread_does_not_meet_the_end();
    what_the_loop_refuses_is_thrown();
    what_is_posted_is_called_once();
    what_is_not_posted_is_destroyed();
    data_of_a_request();
    data_that_is_reloaded();
    how_it_is();
    a_host_without_them();
    options_by_type();
    a_worker_ends_its_loop();
    a_source_may_end_before_its_plugin();
    return 0;
}
