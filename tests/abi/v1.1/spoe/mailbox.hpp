/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/mailbox.hpp - work that is brought back to a worker, from any thread, in C++17: post() of
 * spoe/plugin.h. Header only, no part of the ABI; spoe/plugin.hpp includes it. Since 1.1, for hosts
 * of 1.0 too.
 *
 *     worker(limit &all, spoe::loop &on, std::uint32_t) : all_(all), mailbox_(on.mailbox()) {}
 *     ...
 *     all_.pool.run([this, back = mailbox_, number] { // a thread of the plugin's
 *         const result found = look_up(number);
 *         (void)back.post([this, number, found] { answer(number, found); }); // the worker again
 *     });
 */
#ifndef SPOE_MAILBOX_HPP
#define SPOE_MAILBOX_HPP

#include <spoe/views.hpp>

namespace spoe
{

/**
 * One worker's. To be copied freely: loop::mailbox() gives it, or the constructor does where the
 * worker was made with a spoe_worker *.
 *
 * Threads: [any], until the plugin's destructor has returned. Since: 1.1.
 */
class mailbox
{
  public:
    mailbox(host h, spoe_worker *worker) noexcept : host_(h), worker_(worker)
    {
    }
    /**
     * Call fn() once on the worker's thread, soon: never within handle() or another function of
     * the plugin's, and before the worker's destructor. What it throws is logged. It is destroyed
     * there, too, when it has returned. One that is posted while the worker's constructor runs is
     * called also if that throws: it must not use the worker then.
     *
     * @return SPOE_OK: fn is called. SPOE_E_STOPPING: it is not, for the worker has ended;
     *         SPOE_E_NOMEM, or what copying or moving fn throws: nor is it then. It is destroyed
     *         here, with what it holds: a spoe::pending completes its request, with an error
     */
    template <class Fn> spoe_status post(Fn &&fn) const noexcept
    {
        using letter = letter_of<std::decay_t<Fn>>;
        return detail::guard(host_, "post", [&]() -> spoe_status {
            auto *const sent = new letter{host_, std::forward<Fn>(fn)};
            const spoe_status status = host_.table()->post(worker_, open<letter>, sent);
            if (status != SPOE_OK)
                delete sent; /* else the worker does, and may have done so */
            return status;
        });
    }

  private:
    template <class Fn> struct letter_of {
        host h;
        Fn fn;
    };
    template <class Letter> static void open(void *arg) noexcept
    {
        auto *const letter = static_cast<Letter *>(arg);
        const host h = letter->h;
        (void)detail::guard(h, "a posted function", [&] { (void)letter->fn(); });
        (void)detail::guard(h, "a posted function", [&] { delete letter; });
    }
    host host_;
    spoe_worker *worker_;
};

} // namespace spoe

#endif
