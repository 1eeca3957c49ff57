-- What in a text's words and links looks like promotion or like a bot, where that was not looked
-- at before. The patterns are those of promotion.toml, which says what each is for.
UPDATE document
SET promotion_marks = m.marks
FROM (
    WITH readable AS (
        SELECT
            rowid AS row, source, lower(url) AS link,
            lower(CASE source
                WHEN 'news' THEN coalesce(title, body, '')
                ELSE concat_ws(' ', title, body)
            END) AS words
        FROM document
        WHERE promotion_marks IS NULL
    )

    SELECT
        row,
        concat_ws('|',
            CASE WHEN regexp_matches(words, $bot) THEN 'bot' END,
            CASE WHEN regexp_matches(words, $presale) THEN 'presale' END,
            CASE WHEN regexp_matches(words, $giveaway) THEN 'giveaway' END,
            CASE WHEN regexp_matches(words, $riches) THEN 'riches' END,
            CASE WHEN regexp_matches(words, $advice) THEN 'advice' END,
            CASE
                WHEN
                    regexp_matches(words, $referral)
                    OR regexp_matches(concat_ws(' ', words, link), $referral_links)
                    THEN 'referral'
            END,
            CASE
                WHEN
                    regexp_matches(words, $invite)
                    OR regexp_matches(concat_ws(' ', words, link), $invite_links)
                    THEN 'invite'
            END,
            CASE
                WHEN regexp_matches(words, $advert) OR regexp_matches(link, $advert_own_link)
                    THEN 'advert'
            END,
            CASE WHEN regexp_matches(words, $tags) THEN 'tags' END
        ) AS marks
    FROM readable
) AS m
WHERE document.rowid = m.row;
