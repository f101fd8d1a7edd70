//! What is said, in each language. Short sentences; the same ones in all three.

/// Everything that a person is told.
pub(super) struct Words {
    /// The language's code, as in `lang="kk"`.
    pub code: &'static str,
    /// What the language calls itself.
    pub name: &'static str,

    pub door_title: &'static str,
    pub door_text: &'static str,
    pub door_button: &'static str,

    pub spent_title: &'static str,
    pub spent_text: &'static str,

    pub title: &'static str,
    pub intro: &'static str,
    pub hurry: &'static str,
    pub qr: &'static str,

    pub telegram_how: &'static str,
    /// Before a number, and after it.
    pub telegram_way: [&'static str; 2],
    pub telegram_next: &'static str,
    pub telegram_copy: &'static str,

    pub browser_title: &'static str,
    pub pac: &'static str,
    pub firefox: &'static [&'static str],
    pub chrome: &'static [&'static str],
    pub log_in: &'static str,
    pub user: &'static str,
    pub password: &'static str,

    pub ready_title: &'static str,
    pub ready_text: &'static str,

    pub dns_title: &'static str,
    pub dns_how: &'static str,
    pub dns_firefox: &'static str,
    pub dns_chrome: &'static str,

    pub apple_how: &'static [&'static str],
    pub apple_button: &'static str,
    pub apple_unproven: &'static str,

    pub outline_how: &'static str,
    pub outline_button: &'static str,

    pub wireguard_how: &'static str,
    pub wireguard_button: &'static str,

    pub sees_title: &'static str,
    pub sees: &'static [&'static str],
}

pub(super) static KAZAKH: Words = Words {
    code: "kk",
    name: "Қазақша",

    door_title: "Сізге арналған бет",
    door_text: "Бұл сілтемені сізге таныс адам жіберді. Бетті ашу үшін батырманы басыңыз. Бет бес рет \
                ашылады, ал алғаш ашылғаннан кейін 48 сағат өткен соң жабылады.",
    door_button: "Ашу",

    spent_title: "Сілтеменің мерзімі бітті",
    spent_text: "Бұл бет енді ашылмайды. Сілтемені жіберген адамнан жаңасын сұраңыз. Бұрын баптап \
                 қойған қолданбаларыңыз жұмыс істей береді.",

    title: "Байланысты баптау",
    intro: "Бұл серверді сізге таныс адам ұстап отыр. Төмендегі сілтемелер тек сізге арналған, \
            сондықтан оларды ешкімге бермеңіз. Досыңызға да керек болса, оған бөлек сілтеме сұраңыз.",
    hurry: "Бұл бет бес рет қана ашылады, ал алғаш ашылғаннан кейін 48 сағат өткен соң жабылады. \
            Қолданбаларды қазір баптап алыңыз.",
    qr: "QR-код",

    telegram_how: "Батырманы басыңыз. Telegram ашылып, проксиді қосайын ба деп сұрайды: келісіңіз.",
    telegram_way: ["Telegram, ", "-тәсіл"],
    telegram_next: "Бірінші тәсілден бастаңыз. Жарты минутта қосылмаса, осы бетке қайтып, келесісін \
                    басыңыз. QR-кодты басқа телефонның камерасына көрсетуге болады.",
    telegram_copy: "Батырма істемесе, мына сілтемені көшіріп, Telegram-дағы «Сақталған хабарлар» \
                    чатына жіберіңіз де, сол жерде басыңыз:",

    browser_title: "Компьютердегі браузер",
    pac: "Проксидің мекенжайы (PAC):",
    firefox: &[
        "Баптауларды ашып, ең төмендегі «Желі баптаулары» бөлімін табыңыз.",
        "«Проксиді автоматты баптау URL-ы» тармағын таңдап, жоғарыдағы мекенжайды сонда қойыңыз.",
        "«OK» батырмасын басыңыз.",
    ],
    chrome: &[
        "Chrome жүйенің баптауын қолданады. Windows-та: «Параметрлер», «Желі және интернет», \
         «Прокси», «Баптау скриптін қолдану».",
        "macOS-та: «Жүйе баптаулары», «Желі», желіңіздің мәліметтері, «Проксилер», проксиді автоматты \
         баптау.",
        "Жоғарыдағы мекенжайды қойып, сақтаңыз.",
    ],
    log_in: "Содан кейін мына мекенжайды бір рет ашыңыз. Браузер пайдаланушы аты мен құпиясөзді сұрайды:",
    user: "Пайдаланушы аты",
    password: "Құпиясөз",

    ready_title: "Браузер дайын",
    ready_text: "Енді кез келген сайтты аша аласыз. Браузер құпиясөзді жабылғанша есінде сақтайды; \
                 сайттар ашылмай қалса, осы мекенжайды тағы бір рет ашыңыз.",

    dns_title: "Браузердегі сайт атаулары (DNS)",
    dns_how: "Сайт атаулары бұрмаланса немесе табылмаса, браузер оларды осы серверден сұрай алады. Бұл \
              прокси емес: жабылған сайтты ашпайды.",
    dns_firefox: "Firefox: «Баптаулар», «Жекелік және қауіпсіздік», «HTTPS арқылы DNS», «Арттырылған \
                  қорғаныс». Провайдер орнына осы мекенжайды қойыңыз.",
    dns_chrome: "Chrome: «Параметрлер», «Құпиялық және қауіпсіздік», «Қауіпсіздік», «Қауіпсіз DNS». \
                 Провайдер орнына осы мекенжайды қойыңыз.",

    apple_how: &[
        "Профильді Safari арқылы жүктеп алыңыз.",
        "«Баптаулар», «Жалпы», «VPN және құрылғыны басқару» бөлімін ашып, профильді орнатыңыз.",
    ],
    apple_button: "Профильді жүктеу",
    apple_unproven: "Бұл тәсіл әлі нағыз телефонда тексерілген жоқ. Істемесе, профильді сол бөлімнен \
                     жойыңыз.",

    outline_how: "Outline қолданбасы бар болса, батырманы басыңыз: ол серверді өзі қосады.",
    outline_button: "Outline-ға қосу",

    wireguard_how: "WireGuard қолданбасында файлды ашыңыз немесе QR-кодты сканерлеңіз. Сонда \
                    құрылғының бүкіл байланысы осы сервер арқылы жүреді.",
    wireguard_button: "Файлды жүктеу",

    sees_title: "Серверді ұстап отырған адам нені көре алады",
    sees: &[
        "Қай интернет мекенжайынан (IP), қашан қосылғаныңызды және қанша дерек өткенін көре алады.",
        "Telegram-да не жазып, не оқығаныңызды көрмейді: оны Telegram-ның өзі шифрлайды.",
        "Браузер мен басқа қолданбаларда қандай сайттарға кіргеніңізді көре алады. https:// деп \
         басталатын беттердің мазмұнын көрмейді, http:// деп басталатындарының мазмұнын көре алады.",
        "Бұл бағдарлама адамдардың мекенжайын дискіге де, журналға да жазбайды. Бірақ серверде дәл \
         осы бағдарлама тұрғанына сенуге тура келеді.",
        "Провайдеріңіз осы серверге қосылғаныңызды көреді. Сіз тұрған жерде бұған тыйым салынған \
         болуы мүмкін: қолдану-қолданбауды өзіңіз шешіңіз.",
    ],
};

pub(super) static RUSSIAN: Words = Words {
    code: "ru",
    name: "Русский",

    door_title: "Страница для вас",
    door_text: "Эту ссылку вам прислал знакомый человек. Чтобы открыть страницу, нажмите кнопку. Она \
                открывается пять раз, а через 48 часов после первого раза закрывается.",
    door_button: "Открыть",

    spent_title: "Срок ссылки истёк",
    spent_text: "Эта страница больше не открывается. Попросите новую ссылку у того, кто прислал эту. \
                 Приложения, которые вы уже настроили, продолжат работать.",

    title: "Настройка связи",
    intro: "Этот сервер держит знакомый вам человек. Ссылки ниже только для вас, никому их не \
            передавайте. Если связь нужна и вашему другу, попросите для него отдельную ссылку.",
    hurry: "Страница открывается только пять раз, а через 48 часов после первого раза закрывается. \
            Настройте приложения сейчас.",
    qr: "QR-код",

    telegram_how: "Нажмите кнопку. Откроется Telegram и спросит, включить ли прокси: согласитесь.",
    telegram_way: ["Telegram, способ ", ""],
    telegram_next: "Начните с первого способа. Если за полминуты связи нет, вернитесь на эту страницу \
                    и нажмите следующий. На QR-код можно навести камеру другого телефона.",
    telegram_copy: "Если кнопка не срабатывает, скопируйте эту ссылку, отправьте её в Telegram в \
                    «Избранное» и нажмите на неё там:",

    browser_title: "Браузер на компьютере",
    pac: "Адрес прокси (PAC):",
    firefox: &[
        "Откройте настройки и в самом низу найдите «Параметры сети».",
        "Выберите «URL автоматической настройки прокси» и вставьте адрес, который выше.",
        "Нажмите «OK».",
    ],
    chrome: &[
        "Chrome берёт настройки системы. В Windows: «Параметры», «Сеть и Интернет», «Прокси», \
         «Использовать сценарий настройки».",
        "В macOS: «Системные настройки», «Сеть», подробности вашей сети, «Прокси», автоматическая \
         настройка прокси.",
        "Вставьте адрес, который выше, и сохраните.",
    ],
    log_in: "Затем один раз откройте этот адрес. Браузер спросит имя пользователя и пароль:",
    user: "Имя пользователя",
    password: "Пароль",

    ready_title: "Браузер готов",
    ready_text: "Теперь можно открывать любые сайты. Браузер помнит пароль, пока его не закроют; если \
                 сайты перестали открываться, откройте этот адрес ещё раз.",

    dns_title: "Имена сайтов в браузере (DNS)",
    dns_how: "Если имена сайтов подменяют или они не находятся, браузер может узнавать их у этого \
              сервера. Это не прокси: закрытый сайт так не откроется.",
    dns_firefox: "Firefox: «Настройки», «Приватность и защита», «DNS через HTTPS», «Повышенная защита». \
                  Вместо провайдера укажите этот адрес.",
    dns_chrome: "Chrome: «Настройки», «Конфиденциальность и безопасность», «Безопасность», «Безопасный \
                 DNS-сервер». Вместо провайдера укажите этот адрес.",

    apple_how: &[
        "Загрузите профиль в Safari.",
        "Откройте «Настройки», «Основные», «VPN и управление устройством» и установите профиль.",
    ],
    apple_button: "Загрузить профиль",
    apple_unproven: "Этот способ ещё не проверен на настоящем телефоне. Если он не работает, удалите \
                     профиль там же.",

    outline_how: "Если у вас есть приложение Outline, нажмите кнопку: оно само добавит сервер.",
    outline_button: "Добавить в Outline",

    wireguard_how: "Откройте файл в приложении WireGuard или отсканируйте им QR-код. Тогда вся связь \
                    устройства пойдёт через этот сервер.",
    wireguard_button: "Загрузить файл",

    sees_title: "Что может видеть тот, кто держит сервер",
    sees: &[
        "Может видеть, с какого адреса в интернете (IP) и когда вы подключаетесь и сколько данных \
         проходит.",
        "Не видит, что вы пишете и читаете в Telegram: это шифрует сам Telegram.",
        "Может видеть, на какие сайты вы заходите в браузере и других приложениях. Не видит содержания \
         страниц, которые начинаются с https://, но может видеть содержание тех, что начинаются с http://.",
        "Эта программа не записывает адреса людей ни на диск, ни в журнал. Но в том, что на сервере \
         работает именно она, приходится доверять тому, кто его держит.",
        "Ваш провайдер видит, что вы подключаетесь к этому серверу. Там, где вы находитесь, это может \
         быть запрещено: решайте сами.",
    ],
};

pub(super) static ENGLISH: Words = Words {
    code: "en",
    name: "English",

    door_title: "A page for you",
    door_text: "Somebody you know sent you this link. Press the button to open the page. It opens five \
                times, and closes 48 hours after the first time.",
    door_button: "Open",

    spent_title: "This link has ended",
    spent_text: "The page does not open any more. Ask whoever sent you the link for a new one. The \
                 apps that you have set up already go on working.",

    title: "Set up your connection",
    intro: "Somebody you know runs this server. The links below are yours alone: give them to nobody. \
            If a friend needs a connection too, ask for a link for them.",
    hurry: "This page opens only five times, and closes 48 hours after the first time. Set up your \
            apps now.",
    qr: "QR code",

    telegram_how: "Press a button. Telegram opens and asks whether to use the proxy: say yes.",
    telegram_way: ["Telegram, way ", ""],
    telegram_next: "Begin with the first way. If there is no connection after half a minute, come back \
                    to this page and press the next one. A QR code is for the camera of another phone.",
    telegram_copy: "If a button does nothing, copy this link, send it to your Saved Messages in \
                    Telegram, and tap it there:",

    browser_title: "Browser on a computer",
    pac: "Address of the proxy (PAC):",
    firefox: &[
        "Open the settings and find Network Settings at the very bottom.",
        "Choose \"Automatic proxy configuration URL\" and paste the address above.",
        "Press OK.",
    ],
    chrome: &[
        "Chrome uses the system's settings. On Windows: Settings, Network & internet, Proxy, Use setup \
         script.",
        "On macOS: System Settings, Network, the details of your network, Proxies, Automatic proxy \
         configuration.",
        "Paste the address above and save.",
    ],
    log_in: "Then open this address once. The browser asks for a user name and a password:",
    user: "User name",
    password: "Password",

    ready_title: "The browser is ready",
    ready_text: "You can open any site now. The browser remembers the password until it is closed; if \
                 sites do not open any more, open this address once again.",

    dns_title: "Names of sites in the browser (DNS)",
    dns_how: "Where names of sites are falsified or not found, the browser can ask this server for \
              them. This is no proxy: it does not open a site that is blocked.",
    dns_firefox: "Firefox: Settings, Privacy & Security, DNS over HTTPS, Increased Protection. Give this \
                  address in place of a provider.",
    dns_chrome: "Chrome: Settings, Privacy and security, Security, Use secure DNS. Give this address in \
                 place of a provider.",

    apple_how: &[
        "Download the profile with Safari.",
        "Open Settings, General, VPN & Device Management, and install the profile.",
    ],
    apple_button: "Download the profile",
    apple_unproven: "This way has not been proven on a real phone yet. If it does not work, remove the \
                     profile in the same place.",

    outline_how: "If you have the Outline app, press the button: it adds the server by itself.",
    outline_button: "Add to Outline",

    wireguard_how: "Open the file in the WireGuard app, or scan the QR code with it. Then everything \
                    that the device sends goes by way of this server.",
    wireguard_button: "Download the file",

    sees_title: "What whoever runs this server can see",
    sees: &[
        "They can see from which internet address (IP) you connect, when, and how much data passes.",
        "They cannot see what you write and read in Telegram: Telegram itself encrypts it.",
        "They can see which sites you visit in a browser and in other apps. They cannot see the content \
         of pages that begin with https://, but can see that of pages that begin with http://.",
        "This program writes no person's address to disk or into a log. But that the server really \
         runs this program is something you have to trust its keeper for.",
        "Your internet provider sees that you connect to this server. Where you are, that may be \
         forbidden: decide for yourself.",
    ],
};
