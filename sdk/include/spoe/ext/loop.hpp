/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/loop.hpp - timers and descriptors on a worker's event loop in C++17: the facet of
 * spoe/ext/loop.h, by objects that end what they stand for. Header only, no part of the ABI;
 * spoe/plugin.hpp includes it. Since 1.1.
 *
 *     worker(limit &, spoe::loop &on, std::uint32_t)
 *         : timer_(on, [this] { ... }), watch_(on, fd, [this](std::uint32_t ready) { ... })
 *     {
 *         watch_.events(SPOE_LOOP_READ);
 *         timer_.in(std::chrono::milliseconds(20));
 *     }
 *
 *     on.once(5ms, [req = req.defer()]() mutable { req.complete(); });
 *
 * Functions are called one at a time, never within another or within handle(), must not block, and
 * may end what they belong to. What one throws is logged and goes no further: a timer may be set
 * again, a watch is set to nothing, since it would come at once again.
 *
 * The loop is the worker's: made before its constructor runs, it ends after its destructor, when
 * all that is left on it ends, and what its functions hold is destroyed. An object that outlives
 * that does no more: it answers SPOE_E_STOPPING.
 *
 * Threads: all of it [worker], that worker's. A timer or a watch that is made, set, ended or
 * destroyed on another thread is an error of the plugin's, which the host logs and counts, also
 * while its worker ends. Nothing changes then: what is made throws SPOE_E_INVAL, at(), in(), off()
 * and events() return it, and what is ended or destroyed there ends when its function would be
 * called next, which it is not any more, or with the loop. The following is not caught:
 *   - making one of a loop that has ended, which is a reference to what is no more;
 *   - one object used by two threads at once, as with those of the standard library;
 *   - ending one elsewhere while its function is running, which goes on.
 */
#ifndef SPOE_EXT_LOOP_HPP
#define SPOE_EXT_LOOP_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include <spoe/ext/loop.h>
#include <spoe/mailbox.hpp>
#include <spoe/views.hpp>

namespace spoe
{

namespace detail
{

/* The function of a timer or a watch, of whatever type. */
struct callee {
    virtual ~callee() = default;
    virtual void call(std::uint32_t ready) = 0;
};
template <class Fn> struct callee_of final : callee {
    template <class From> explicit callee_of(From &&from) : fn(std::forward<From>(from))
    {
    }
    void call(std::uint32_t ready) override
    {
        if constexpr (std::is_invocable_v<Fn &, std::uint32_t>)
            fn(ready);
        else
            fn();
    }
    Fn fn;
};

/* A timer or a watch: on its loop until it ends, and kept by the object that stands for it. */
struct on_loop {
    on_loop(host in, const spoe_loop *functions) noexcept : h(in), table(functions)
    {
    }
    void link(on_loop *&first, std::shared_ptr<on_loop> me) noexcept
    {
        self = std::move(me);
        next = first;
        if (next != nullptr)
            next->place = &next;
        place = &first;
        first = this;
    }
    /* [worker] Once. Its function goes now, or when it has returned. */
    void end() noexcept
    {
        const std::shared_ptr<on_loop> keep = std::move(self);
        {
            const std::lock_guard<std::mutex> lock(ending);
            ended = true;
            free_handles();
        }
        *place = next;
        if (next != nullptr)
            next->place = place;
        if (!running)
            fn.reset();
    }
    /* Nobody stands for it any more. */
    void drop() noexcept
    {
        if (std::this_thread::get_id() == thread) {
            if (!ended)
                end();
            return;
        }
        const std::lock_guard<std::mutex> lock(ending);
        if (!ended) {
            dropped = true;
            free_handles(); /* the host says that this may not be */
        }
    }
    /* Have the host do something with it, or, on another thread, say that this may not be. */
    template <class Fn> spoe_status use(Fn &&what) const noexcept
    {
        std::unique_lock<std::mutex> lock(ending, std::defer_lock);
        if (std::this_thread::get_id() != thread)
            lock.lock();
        return ended ? static_cast<spoe_status>(SPOE_E_STOPPING) : what(*this);
    }
    void run(const char *where, std::uint32_t ready) noexcept
    {
        const std::shared_ptr<on_loop> keep = self;
        if (dropped) { /* a watch would be ready again at once */
            end();
            return;
        }
        running = true;
        const spoe_status status = guard(h, where, [&] { fn->call(ready); });
        running = false;
        if (status != SPOE_OK && watch != nullptr && !ended)
            (void)table->watch_set(watch, 0);
        if (once && !ended)
            end();
        if (ended)
            fn.reset();
    }
    void free_handles() noexcept
    {
        if (timer != nullptr)
            table->timer_free(timer);
        if (watch != nullptr)
            table->watch_free(watch);
    }

    host h;
    const spoe_loop *table;
    spoe_timer *timer = nullptr;
    spoe_watch *watch = nullptr;
    std::unique_ptr<callee> fn;
    const std::thread::id thread = std::this_thread::get_id();
    std::shared_ptr<on_loop> self; /* while it has not ended */
    on_loop *next = nullptr, **place = nullptr;
    bool running = false;
    bool once = false; /* it ends when it has run */
    bool ended = false;
    std::atomic<bool> dropped{false};
    mutable std::mutex ending; /* for other threads: what they use does not end meanwhile */
};

} // namespace detail

/* One worker's loop; spoe::plugin makes it. */
class loop
{
  public:
    loop(host h, spoe_worker *worker) noexcept
        : host_(h), table_(h.extension<spoe_loop>(SPOE_LOOP_1)), worker_(worker)
    {
    }
    loop(const loop &) = delete;
    loop &operator=(const loop &) = delete;
    ~loop()
    {
        closed_ = true;
        while (first_ != nullptr)
            first_->end();
    }
    spoe_worker *worker() const noexcept
    {
        return worker_;
    }
    /* For other threads to bring work back here. */
    spoe::mailbox mailbox() const noexcept
    {
        return {host_, worker_};
    }
    /* When it will be so much later, as now_mono_ns() tells it; no further than there is time. */
    std::int64_t at(std::chrono::nanoseconds after) const noexcept
    {
        const std::int64_t now = host_.now_mono_ns(), ns = after.count();
        return ns < SPOE_TIMER_OFF - now ? now + (ns > 0 ? ns : 0) : SPOE_TIMER_OFF - 1;
    }
    /* Call fn() once, so much later, and be done with it. At the loop's end fn is destroyed
     * without a call: a spoe::pending that it holds is completed all the same. Throws spoe::error,
     * as timer() does. */
    template <class Fn> void once(std::chrono::nanoseconds after, Fn &&fn)
    {
        const std::shared_ptr<detail::on_loop> made = add_timer(std::forward<Fn>(fn));
        made->once = true;
        const spoe_status status = table_->timer_set(made->timer, at(after));
        if (status != SPOE_OK) {
            made->end();
            throw error(status, "a timer cannot be set");
        }
    }

  private:
    friend class timer;
    friend class watch;

    template <class Fn> std::shared_ptr<detail::on_loop> make(Fn &&fn)
    {
        if (table_ == nullptr)
            throw error(SPOE_E_UNSUPPORTED, "the host has no " SPOE_LOOP_1);
        if (closed_)
            throw error(SPOE_E_STOPPING, "the worker has ended");
        auto made = std::make_shared<detail::on_loop>(host_, table_);
        made->fn = std::make_unique<detail::callee_of<std::decay_t<Fn>>>(std::forward<Fn>(fn));
        return made;
    }
    template <class Fn> std::shared_ptr<detail::on_loop> add_timer(Fn &&fn)
    {
        auto made = make(std::forward<Fn>(fn));
        add(made, table_->timer_new(worker_, on_time, made.get(), &made->timer));
        return made;
    }
    template <class Fn> std::shared_ptr<detail::on_loop> add_watch(std::int32_t fd, Fn &&fn)
    {
        auto made = make(std::forward<Fn>(fn));
        add(made, table_->watch_new(worker_, fd, on_ready, made.get(), &made->watch));
        return made;
    }
    void add(const std::shared_ptr<detail::on_loop> &made, spoe_status status)
    {
        if (status != SPOE_OK)
            throw error(status, "the loop takes no more timers or watches, or not this one");
        made->link(first_, made);
    }
    static void on_time(void *arg) noexcept
    {
        static_cast<detail::on_loop *>(arg)->run("a timer's function", 0);
    }
    static void on_ready(void *arg, std::int32_t, std::uint32_t ready) noexcept
    {
        static_cast<detail::on_loop *>(arg)->run("a watch's function", ready);
    }
    host host_;
    const spoe_loop *table_;
    spoe_worker *worker_;
    detail::on_loop *first_ = nullptr;
    bool closed_ = false;
};

/* What timer and watch have in common: it is moved, not copied, and ends with the object. */
class loop_object
{
  public:
    loop_object(loop_object &&other) noexcept = default;
    loop_object &operator=(loop_object &&other) noexcept
    {
        if (this != &other) {
            reset();
            it_ = std::move(other.it_);
            loop_ = other.loop_;
        }
        return *this;
    }
    ~loop_object()
    {
        reset();
    }
    /* End it; its function does not come any more. */
    void reset() noexcept
    {
        const std::shared_ptr<detail::on_loop> gone = std::move(it_);
        if (gone != nullptr)
            gone->drop();
    }
    /* Whether it stands for anything. */
    explicit operator bool() const noexcept
    {
        return it_ != nullptr;
    }

  protected:
    loop_object() noexcept = default;
    loop_object(const loop &on, std::shared_ptr<detail::on_loop> it) noexcept
        : it_(std::move(it)), loop_(&on)
    {
    }
    template <class Fn> spoe_status use(Fn &&fn) const noexcept
    {
        return it_ != nullptr ? it_->use(fn) : static_cast<spoe_status>(SPOE_E_INVAL);
    }
    std::shared_ptr<detail::on_loop> it_;
    const loop *loop_ = nullptr;
};

/* A timer: one call each time it is set. One that is set anew costs no allocation. */
class timer : public loop_object
{
  public:
    /* None, to be assigned to. */
    timer() noexcept = default;
    /* Not armed. fn is called as fn(). Throws spoe::error: the status that timer_new() of
     * spoe/ext/loop.h has, SPOE_E_UNSUPPORTED in a host without loops. */
    template <class Fn>
    timer(loop &on, Fn &&fn) : loop_object(on, on.add_timer(std::forward<Fn>(fn)))
    {
    }
    /* Once, at this time of now_mono_ns(), in place of what was set before.
     * @return SPOE_OK; SPOE_E_INVAL for none, and on another thread; SPOE_E_STOPPING */
    spoe_status at(std::int64_t mono_ns) noexcept
    {
        return use(
            [&](const detail::on_loop &it) { return it.table->timer_set(it.timer, mono_ns); });
    }
    spoe_status in(std::chrono::nanoseconds after) noexcept
    {
        return use([&](const detail::on_loop &it) {
            return it.table->timer_set(it.timer, loop_->at(after));
        });
    }
    spoe_status off() noexcept
    {
        return at(SPOE_TIMER_OFF);
    }
};

/* A watch over a descriptor, which stays the plugin's: close it after this has ended, so declare
 * this behind it. */
class watch : public loop_object
{
  public:
    watch() noexcept = default;
    /* For nothing yet. fn is called as fn(ready), SPOE_LOOP_*, for as long as the descriptor is
     * ready, or as fn(). Throws spoe::error as timer() does, and SPOE_E_INVAL for an fd below 0. */
    template <class Fn>
    watch(loop &on, std::int32_t fd, Fn &&fn)
        : loop_object(on, on.add_watch(fd, std::forward<Fn>(fn)))
    {
    }
    /* What to watch for: SPOE_LOOP_READ, SPOE_LOOP_WRITE, both or 0.
     * @return as watch_set() of spoe/ext/loop.h; SPOE_E_INVAL for none, and on another thread;
     *         SPOE_E_STOPPING */
    spoe_status events(std::uint32_t what) noexcept
    {
        return use([&](const detail::on_loop &it) { return it.table->watch_set(it.watch, what); });
    }
};

} // namespace spoe

#endif
